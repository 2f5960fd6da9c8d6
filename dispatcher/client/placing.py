"""Where the schedules of a deployment begin, and what its limits are, as the deploy script takes them."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from ..deployments import Deployment, ScheduleState
from ..schedules import Schedule, first
from ..store import ScheduleRow

_TIMING = ("cron", "day_or", "interval", "anchor", "rrule", "at", "timezone", "start", "end")


def timing_of(schedule: Schedule) -> str:
    """A word that changes when the instants of a schedule may: what stays goes on where it is."""
    said = schedule.document()
    text = json.dumps([[name, said[name]] for name in _TIMING if name in said])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def limit_of(deployment: Deployment) -> str:
    """Its limit as scripts read it: '' none, `3`, `3,skip`."""
    concurrency = deployment.concurrency
    if concurrency is None:
        return ""
    return str(concurrency.limit) + ("" if concurrency.when_full == "wait" else f",{concurrency.when_full}")


def overlap_of(schedule: Schedule) -> str:
    """The limit of its own key: '' they may overlap."""
    if schedule.when_full is None:
        return ""
    return "1" if schedule.when_full == "wait" else f"1,{schedule.when_full}"


def first_rows(deployment: Deployment, now_ms: int, states: Sequence[ScheduleState] = ()) -> list[ScheduleRow]:
    """Its schedules from now on; what `states` say has been is not repeated."""
    last = {state.id: _ms(state.last_at) for state in states}
    return [
        _row(schedule, None if deployment.paused or schedule.paused else first(schedule, now_ms, last.get(schedule.id)))
        for schedule in deployment.schedules
    ]


def moved_rows(deployment: Deployment, states: Sequence[ScheduleState]) -> list[ScheduleRow]:
    """Its schedules where they stopped."""
    stopped = {state.id: (_ms(state.next_at), _ms(state.last_at)) for state in states}
    return [_row(schedule, *stopped.get(schedule.id, (None, None))) for schedule in deployment.schedules]


def _row(schedule: Schedule, next_ms: int | None, last_ms: int | None = None) -> ScheduleRow:
    return ScheduleRow(schedule.id, timing_of(schedule), next_ms, overlap_of(schedule), last_ms)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
