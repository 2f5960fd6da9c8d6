"""What a sluice.yaml says: pools with their queues and limits, and deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from pydantic import Field, model_validator

from ..deployments import Deployment
from ..documents import Seconds, StrictModel, checked_by
from ..errors import InvalidInput
from ..models import WorkPool
from ..names import check_limit, check_limit_key, check_name, check_priority, check_start_within
from ..schedules.document import WhenFull
from ..snapshots import START_WITHIN_MS
from .places import Finding, Lines, Path

_DEFAULT = WorkPool("default", "function")
_OWN_KINDS = ("deployment:", "schedule:")
LimitNumber = Annotated[int | None, checked_by(check_limit)]


def is_own(key: str) -> bool:
    """Whether a key's limit belongs to a deployment or schedule, which brings it itself."""
    return key.startswith(_OWN_KINDS)


def _free_key(key: str) -> str:
    if is_own(key):
        raise InvalidInput("is the limit of a deployment or schedule: say it there, as `concurrency` or `when_full`")
    return check_limit_key(key)


class QueueEntry(StrictModel):
    """A work queue. What is left out is the default; `priority` and `paused` stay as they are."""

    priority: Annotated[int, checked_by(check_priority)] | None = None
    limit: LimitNumber = None
    description: str = Field(default="", max_length=10_000)
    paused: bool = False
    start_within: Annotated[Seconds, checked_by(check_start_within)] = START_WITHIN_MS / 1000


class LimitEntry(StrictModel):
    """The limit of a concurrency key; a number alone is its `limit`."""

    limit: Annotated[int, checked_by(check_limit)]
    when_full: WhenFull = "wait"

    @model_validator(mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        return {"limit": given} if isinstance(given, int) else given


class PoolEntry(StrictModel):
    """A work pool. What is left out is the default; `type`, `paused` and `template` stay as they are."""

    type: str | None = Field(
        default=None, min_length=1, max_length=63, description="Of its workers; new ones: function."
    )
    limit: LimitNumber = None
    description: str = Field(default="", max_length=10_000)
    paused: bool = False
    retention: Seconds = _DEFAULT.retention_ms / 1000
    retention_count: int = Field(default=_DEFAULT.retention_count, ge=0)
    crashes: int = Field(default=_DEFAULT.crash_budget, ge=0)
    template: dict[str, Any] | None = Field(default=None, description="Its base job template; {}: that of its type.")
    queues: dict[Annotated[str, checked_by(partial(check_name, "queue"))], QueueEntry | None] = Field(
        default_factory=dict
    )
    limits: dict[Annotated[str, checked_by(_free_key)], LimitEntry] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declared:
    """A deployment of a file. `sources` has, for parts of the document, where the file says them."""

    document: Deployment
    lines: Lines
    path: Path
    sources: Mapping[Path, Path] = field(default_factory=dict)

    def finding(self, path: Path, text: str) -> Finding:
        """Something to tell about a part of the document."""
        return self.lines.finding(source_of(self.path, self.sources, path), text)


def source_of(path: Path, sources: Mapping[Path, Path], part: Path) -> Path:
    """Where the file says a part of a document that was made from it; nearest known, with what is left of it."""
    for length in range(len(part), 0, -1):
        if part[:length] in sources:
            return (*path, *sources[part[:length]], *part[length:])
    return (*path, *part)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file declares. `notes` name what it says and Sluice does not do."""

    file: str
    lines: Lines
    pools: Mapping[str, PoolEntry] = field(default_factory=dict)
    deployments: tuple[Declared, ...] = ()
    notes: tuple[Finding, ...] = ()
