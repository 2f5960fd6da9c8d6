"""What every platform is told of a worker."""

import re
from dataclasses import dataclass

from dispatcher.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
RESTART_SECONDS = 5
"""Before a worker that failed is started again; one that was drained ends with 0 and is left alone."""


@dataclass(frozen=True)
class Unit:
    """A worker as a service. `words` are those after the executable.

    `stop_seconds` is what it needs to hand everything back. `health_port` answers /livez and /readyz, None where nobody
    asks. `address` says where SLUICE_REDIS_URL is found: a file for systemd, a secret for Kubernetes.
    """

    name: str
    pool: str
    executable: str
    words: tuple[str, ...]
    stop_seconds: int
    health_port: int | None = None
    user: str | None = None
    folder: str | None = None
    address: str = ""
    image: str = ""
    replicas: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput(f"{self.name!r} is no name of a unit: letters, digits, `.`, `_`, `-`, 63 at most")
        texts = (self.executable, *self.words, self.user or "", self.folder or "", self.address, self.image)
        if bad := [text for text in texts if _CONTROL.search(text)]:
            raise InvalidInput(f"{bad[0][:60]!r} has control characters: a unit cannot hold it")
        if self.folder and not self.folder.startswith("/"):
            raise InvalidInput(f"{self.folder!r} is no folder for a unit: give its whole path")
        if not 0 <= self.replicas <= 10_000:
            raise InvalidInput(f"{self.replicas} is no number of replicas: 0 to 10,000")

    @property
    def command(self) -> tuple[str, ...]:
        """The whole command."""
        return (self.executable, *self.words)
