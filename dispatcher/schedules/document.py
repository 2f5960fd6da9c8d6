"""What a schedule says: one of cron, interval, rrule and at, and what holds for each of its instants."""

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ..documents import Instant, Seconds, StrictModel
from ..names import NAME

KINDS = ("cron", "interval", "rrule", "at")
_TIMING = (*KINDS, "day_or", "anchor", "timezone")
WhenFull = Literal["wait", "skip", "replace", "wait_one"]
Misfire = Literal["skip", "latest", "all"]


class Schedule(StrictModel):
    """When runs of a deployment are due. Durations in seconds; instants are aware."""

    id: str = Field(default="", description="Its name within the deployment; made from its timing when left out.")
    cron: str | None = Field(
        default=None, description="Five or six fields (the sixth: seconds), or `@daily` and alike."
    )
    day_or: bool = Field(default=True, description="Cron: day of month or of week is enough; false: both.")
    interval: Seconds | None = Field(default=None, description="So long from each instant to the next.")
    anchor: Instant | None = Field(
        default=None, description="Interval: one of its instants; 1970-01-01 00:00 of the zone when left out."
    )
    rrule: str | None = Field(default=None, description="A recurrence rule of RFC 5545, with or without DTSTART.")
    at: Instant | None = Field(default=None, description="Once, at this instant.")
    timezone: str = Field(default="UTC", description="IANA name of the zone whose wall clock counts.")
    start: Instant | None = Field(default=None, description="No instant before.")
    end: Instant | None = Field(default=None, description="No instant after.")
    jitter: Seconds = Field(default=0.0, description="Each run is due up to so much later, evenly spread.")
    misfire: Misfire = Field(default="latest", description="Which of the instants that were missed are made good.")
    window: Seconds = Field(default=86_400.0, description="Misfire all: not those longer ago.")
    most: int = Field(default=100, ge=1, le=10_000, description="Misfire all: at most so many, the latest ones.")
    when_full: WhenFull | None = Field(default=None, description="While its last run is not over; none: they overlap.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Over the deployment's.")
    job_variables: dict[str, Any] = Field(default_factory=dict, description="Over the deployment's.")
    paused: bool = Field(default=False, description="It has no instants until it is resumed.")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        """Give it a name that the same timing has again, wherever it stands in its list."""
        if not isinstance(given, dict) or given.get("id"):
            return given
        timing = json.dumps([[name, str(given.get(name))] for name in _TIMING if given.get(name) is not None])
        kind = next((name for name in KINDS if given.get(name) is not None), "schedule")
        return {**given, "id": f"{kind}-{hashlib.sha256(timing.encode()).hexdigest()[:8]}"}

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        said = [name for name in KINDS if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"a schedule says one of {', '.join(KINDS)}, this one {' and '.join(said) or 'none'}")
        if not NAME.match(self.id):
            raise ValueError(f"{self.id!r} is no schedule id: letters, digits, `.`, `_` and `-`, 63 at most")
        if self.anchor is not None and self.interval is None:
            raise ValueError("`anchor` is for an interval")
        if self.interval is not None and self.interval < 1:
            raise ValueError("an interval is one second or more")
        return self
