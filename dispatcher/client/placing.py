"""Where the schedules of a deployment begin, and what its limits are, as the deploy script takes them."""

import hashlib
import json
from collections.abc import Sequence

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


def schedule_rows(
    deployment: Deployment, now_ms: int | None = None, states: Sequence[ScheduleState] = ()
) -> list[ScheduleRow]:
    """Its schedules from now on, or where `states` say they are."""
    known = {state.id: state for state in states}
    rows = []
    for schedule in deployment.schedules:
        if now_ms is None:
            state = known.get(schedule.id)
            next_ms = round(state.next_at.timestamp() * 1000) if state and state.next_at else None
        else:
            next_ms = None if deployment.paused or schedule.paused else first(schedule, now_ms)
        rows.append(ScheduleRow(schedule.id, timing_of(schedule), next_ms, overlap_of(schedule)))
    return rows
