"""Jitter: each run is due a little later than its instant, evenly spread, and the same whoever computes it."""

import hashlib
from datetime import datetime, timedelta

from .document import Schedule
from .instants import ms_of

_PARTS = 1 << 64


def offset(schedule: Schedule, deployment: str, instant: datetime) -> timedelta:
    """How much later than its instant a run is due: from 0 to the schedule's jitter, in whole milliseconds.

    It comes from the names of deployment and schedule and the instant alone: every scheduler has the same, at any time.
    """
    most = round(schedule.jitter * 1000)
    named = f"{deployment}\0{schedule.id}\0{ms_of(instant)}"
    drawn = int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big")
    return timedelta(milliseconds=(most + 1) * drawn // _PARTS)


def due(schedule: Schedule, deployment: str, instant: datetime) -> datetime:
    """When the run of an instant is due."""
    return instant + offset(schedule, deployment, instant)
