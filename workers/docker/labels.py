"""How a container is found again: its name, and what its labels say to a worker that never heard of it."""

from dataclasses import dataclass
from typing import Any

from dispatcher.models import HandOff

PREFIX = "sluice."
RUN_ID, POOL, TOKEN, ATTEMPT = "sluice.run-id", "sluice.pool", "sluice.claim-token", "sluice.attempt"
WORKER, INSTALLATION, NAME = "sluice.worker", "sluice.installation", "sluice.name"
_STREAM, _GRACE, _REMOVE, _DEADLINE = (
    "sluice.stream-output", "sluice.grace-seconds", "sluice.auto-remove", "sluice.deadline-ms",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Whose containers they are: two installations on one daemon leave each other's alone."""

    pool: str
    installation: str
    worker: str


@dataclass(frozen=True)
class Manner:
    """What is to be done around a container, kept in its labels. `deadline_ms` is what its code was told."""

    stream_output: bool = True
    grace_seconds: float | None = None
    auto_remove: bool = True
    deadline_ms: int | None = None

    def labels(self) -> dict[str, str]:
        """As labels."""
        said = {_STREAM: str(int(self.stream_output)), _REMOVE: str(int(self.auto_remove))}
        if self.grace_seconds is not None:
            said[_GRACE] = f"{self.grace_seconds:g}"
        if self.deadline_ms is not None:
            said[_DEADLINE] = str(self.deadline_ms)
        return said

    @classmethod
    def of(cls, container: dict[str, Any]) -> "Manner":
        """What the labels of an inspected container say."""
        said = labels_of(container)
        grace, deadline = said.get(_GRACE), said.get(_DEADLINE)
        return cls(
            said.get(_STREAM, "1") == "1", None if grace is None else float(grace), said.get(_REMOVE, "1") == "1",
            None if deadline is None else int(deadline),
        )  # fmt: skip


def labels_of(container: dict[str, Any]) -> dict[str, str]:
    """The labels of an inspected or listed container."""
    found = container.get("Labels", (container.get("Config") or {}).get("Labels"))
    return dict(found or {})


def container_name(pool: str, run: HandOff) -> str:
    """Made of the run and its claim: the daemon refuses a second one."""
    return f"sluice-{pool}-{run.id}-{run.token}"


def run_labels(place: Place, run: HandOff) -> dict[str, str]:
    """Whose container it is."""
    said = {
        RUN_ID: run.id, POOL: place.pool, TOKEN: run.token, ATTEMPT: str(run.attempt), WORKER: place.worker,
        INSTALLATION: place.installation,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}
