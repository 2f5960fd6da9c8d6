"""Starts the processes of runs and keeps them until none is left; a program of its own, started by path.

This process only forks keepers, one for each control socket that the worker sends, and is what a keeper's orphans fall
to if something kills it. A keeper serves one run at a time. It is a subreaper: whatever the run starts stays below it,
also what calls setsid or forks twice. A run ends when its first process does; all else of it is killed then. When the
worker dies, the control sockets close, and everything goes at once, the folders of its runs too.

    order     a line of JSON with the descriptors stdout, stderr and, for an entrypoint, the run's line beside it:
              words (none for an entrypoint), env, folder
    told      lines: `pid N`, or `error ERRNO WHAT` (folder or command); after a pid, once nothing is left,
              `exit STATUS` (of waitpid)
    asked     lines: `T` SIGTERM to the run's processes, `K` SIGKILL to all of them until none is left

Only the standard library, and little of it: starting is quick. With the argument `python` it has the modules of
entrypoints loaded (bootstrap.py) and forks these, without starting an interpreter for each.
"""

import contextlib
import ctypes
import errno
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_DESCRIPTORS = 3
_BROKEN = 70  # EX_SOFTWARE
_DEFAULTS = (signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE)
Entrypoint = Callable[[int], int]


def main() -> None:
    """Fork a keeper for each control socket that comes, until the worker's end closes."""
    worker = socket.socket(fileno=int(sys.argv[1]))
    entrypoint = _load_entrypoints() if sys.argv[3:] == ["python"] else None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the worker decides what ends
    keepers: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda *_: _reap(keepers))
    become_subreaper()
    while True:
        message, descriptors, _, _ = socket.recv_fds(worker, 1, 1)
        if not message:
            kill_all()
            _remove(sys.argv[2])
            return
        pid = os.fork()
        if pid == 0:
            worker.close()
            Keeper(socket.socket(fileno=descriptors[0]), entrypoint).serve()
            os._exit(0)
        keepers.add(pid)
        os.close(descriptors[0])


def _remove(folder: str) -> None:
    """The worker's folders of runs: it may have been killed, and nobody else knows them."""
    if os.path.isdir(folder):  # noqa: PTH112 - no pathlib here
        import shutil  # noqa: PLC0415 - only at the end

        shutil.rmtree(folder, ignore_errors=True)


def _load_entrypoints() -> Entrypoint:
    from workers.bootstrap import run_entrypoint  # noqa: PLC0415 - only where it is wanted

    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it shares with us
    return run_entrypoint


def become_subreaper() -> None:
    """Orphans of our descendants come to us. Linux only: elsewhere what calls setsid is not found again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _reap(keepers: set[int]) -> None:
    """Collect keepers that are done. When one was killed, the orphans that came to us have nobody else: they go."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            keepers.discard(pid)
            if status:
                for orphan in set(_children()) - keepers:
                    _kill(orphan)


class Keeper:
    """Keeps one run at a time, from its order to its end."""

    def __init__(self, control: socket.socket, entrypoint: Entrypoint | None) -> None:
        self._control, self._entrypoint = control, entrypoint
        self._lines: list[bytes] = []
        self._part = b""
        self._descriptors: list[int] = []
        self._nothing = os.open(os.devnull, os.O_RDONLY)
        self._wake, wake_write = os.pipe()
        for descriptor in (self._wake, wake_write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        become_subreaper()

    def serve(self) -> None:
        """Take orders until the worker closes its end."""
        while self._hear():
            while self._lines:
                line = self._lines.pop(0)
                if line.startswith(b"{") and not self._keep(json.loads(line)):
                    return  # `T` and `K` of a run that had ended meanwhile mean nothing

    def _hear(self) -> bool:
        """Read lines and descriptors; False when the worker is gone."""
        try:
            part, descriptors, _, _ = socket.recv_fds(self._control, 65536, _DESCRIPTORS)
        except ConnectionResetError:
            return False
        self._descriptors += descriptors
        *lines, self._part = (self._part + part).split(b"\n")
        self._lines += lines
        return bool(part)

    def _tell(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the worker is gone
            self._control.sendall(f"{text}\n".encode(errors="replace"))

    def _keep(self, order: dict[str, Any]) -> bool:
        """One run; False when the worker is gone."""
        streams, self._descriptors = self._descriptors, []
        what = "folder"
        try:
            os.chdir(order["folder"])
            what = "command"
            pid = self._spawn(order, streams) if order["words"] else self._fork(order, streams)
        except (OSError, ValueError) as error:  # ValueError: zero bytes, an empty name
            self._tell(f"error {getattr(error, 'errno', errno.EINVAL)} {what}")
            return True
        finally:
            os.chdir("/")
            for descriptor in streams:
                os.close(descriptor)
        self._tell(f"pid {pid}")
        status, has_worker = self._wait(pid)
        kill_all()
        self._tell(f"exit {status}")
        return has_worker

    def _spawn(self, order: dict[str, Any], streams: list[int]) -> int:
        """Start a command, leader of a session of its own. Raises OSError."""
        path = order["env"].get("PATH", os.defpath)
        if os.environ.get("PATH") != path:  # noqa: TID251 - where the C library looks for programs
            os.environ["PATH"] = path  # noqa: TID251 - see above
        actions = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate((self._nothing, *streams[:2]))]
        words = order["words"]
        return os.posix_spawnp(
            words[0], words, order["env"], file_actions=actions, setsid=True, setsigmask=(), setsigdef=_DEFAULTS
        )

    def _fork(self, order: dict[str, Any], streams: list[int]) -> int:
        """Start an entrypoint in a fork of this process."""
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            for number in _DEFAULTS:
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            self._control.close()
            for target, source in enumerate((self._nothing, *streams[:2])):
                os.dup2(source, target)
            os.environ.clear()  # noqa: TID251 - the run's own
            os.environ.update(order["env"])  # noqa: TID251 - see above
            os._exit(self._entrypoint(streams[2]) if self._entrypoint else _BROKEN)
        except BaseException as error:  # noqa: BLE001 - nothing of ours may go on in this process
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(_BROKEN)

    def _wait(self, pid: int) -> tuple[int, bool]:
        """Wait for the first process, doing what is asked meanwhile: its status, and whether the worker is there."""
        watched = select.poll()
        watched.register(self._control, select.POLLIN)
        watched.register(self._wake, select.POLLIN)
        while True:
            status = _collect(pid)
            if status is not None:
                return status, True
            ready = {descriptor for descriptor, _ in watched.poll()}
            if self._wake in ready:
                os.read(self._wake, 4096)
            if self._control.fileno() in ready and not self._hear():
                return signal.SIGKILL, False
            while self._lines:
                if self._lines.pop(0) == b"K":
                    return signal.SIGKILL, True
                _terminate(pid)


def _collect(pid: int) -> int | None:
    """Collect what has ended, the run's orphans too; the status of `pid` if it was among them."""
    with contextlib.suppress(ChildProcessError):
        while True:
            found, status = os.waitpid(-1, os.WNOHANG)
            if found == pid:
                return status
            if not found:
                return None
    return signal.SIGKILL


def _terminate(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
    for child in _children():
        if child != pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGTERM)


def kill_all() -> None:
    """SIGKILL to all below us until none is left: who loses its parent comes to us, and is met in the next round."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                continue
            for child in _children():
                _kill(child)
            os.waitpid(-1, 0)


def _kill(pid: int) -> None:
    """SIGKILL to a process, and to its group if it leads one."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    """Our direct children."""
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children", "rb") as children:  # noqa: PTH123 - no pathlib here
        return [int(word) for word in children.read().split()]
    return []


if __name__ == "__main__":
    main()
