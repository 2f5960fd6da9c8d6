"""The folder of an embedded server: its lock, its socket, its log, and its address for others to find.

The lock is a `flock` whose descriptor the server inherits. So the folder stays taken as long as either the owner or the
server lives, and is free the moment both are gone, however they ended.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from .errors import EmbeddedServerBusy
from .probe import Address, answers

_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 108 on Linux and 104 on macOS
_LARGEST_LOG = 10 * 1024 * 1024
_LOG_TAIL = 8
_PRIVATE = 0o700


class ServerFolder:
    """Holds a data folder for one server; made by `ServerFolder.take`, given back by `release`."""

    def __init__(self, path: Path | None) -> None:
        """Take the folder (None: a temporary one). Raises EmbeddedServerBusy when someone else has it."""
        self._temporary: list[Path] = []
        if path is None:
            path = self._make_temporary()
        path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self.path = path.resolve()
        self.log = self.path / "server.log"
        self._note = self.path / "server.pid"
        self.lock = self._take_lock()
        self._turn_log()

    def socket(self) -> Path:
        """Return where the socket goes: a private folder inside, or a short temporary one if that is too long."""
        path = self.path / "run" / "redis.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            return self._make_temporary() / "redis.sock"
        path.parent.mkdir(mode=_PRIVATE, exist_ok=True)
        path.parent.chmod(_PRIVATE)
        return path

    def announce(self, pid: int, url: str) -> None:
        """Write down who serves this folder and where, for other processes and for error messages."""
        fresh = self._note.with_suffix(".new")
        fresh.write_text(f"{pid}\n{url}\n")
        fresh.replace(self._note)

    def log_tail(self) -> str:
        """Return the last lines that the server wrote."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_LOG_TAIL:])

    def release(self) -> None:
        """Let go of the folder; remove what was temporary."""
        self._note.unlink(missing_ok=True)
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        os.close(self.lock)
        for path in self._temporary:
            shutil.rmtree(path, ignore_errors=True)

    def _take_lock(self) -> int:
        descriptor = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise EmbeddedServerBusy(self.path, *_read_note(self.path)) from None
        return descriptor

    def _turn_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _make_temporary(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="sluice-"))
        self._temporary.append(path)
        return path


def running_url(data_dir: Path) -> str | None:
    """Return the address of the server that another process runs on this folder, None when none answers."""
    _, url = _read_note(data_dir)
    return url if url and answers(Address.from_url(url)) else None


def _read_note(folder: Path) -> tuple[int, str]:
    """Return pid and address of the folder's server; 0 and nothing while it starts."""
    try:
        pid, url, *_ = (folder / "server.pid").read_text().splitlines()
        return int(pid), url
    except (OSError, ValueError):
        return 0, ""
