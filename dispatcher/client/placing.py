"""Where the schedules of a deployment begin, and what its limits are, as the deploy script takes them."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from ..deployments import Deployment, ScheduleState, Stored
from ..deployments.instance import occurrence_id
from ..schedules import Schedule, first, upcoming
from ..store import ScheduleRow
from ..store.deployments import KEEPS_ALL

_TIMING = ("cron", "day_or", "interval", "anchor", "rrule", "at", "timezone", "start", "end")
_SLACK = timedelta(seconds=60)
_MOST_KEPT = 1_000


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


def first_rows(
    deployment: Deployment, now_ms: int, before: Stored | None = None, ahead_ms: int = 0
) -> list[ScheduleRow]:
    """Its schedules from now on; what has been of one that was there `before` is not repeated.

    Where its timing changes, what was published up to `ahead_ms` before its instant has not been: it is replaced.
    """
    return [_first_row(deployment, schedule, now_ms, before, ahead_ms) for schedule in deployment.schedules]


def _first_row(
    deployment: Deployment, schedule: Schedule, now_ms: int, before: Stored | None, ahead_ms: int
) -> ScheduleRow:
    last = _ms(before.schedule_state(schedule.id).last_at) if before else None
    was = next((each for each in before.document.schedules if each.id == schedule.id), None) if before else None
    rests = deployment.paused or schedule.paused
    kept = ""
    if was and timing_of(was) != timing_of(schedule):
        last = None if last is None else min(last, now_ms)
        kept = "" if rests else _kept(deployment.name, schedule, now_ms - round(1000 * was.jitter), now_ms + ahead_ms)
    return _row(schedule, None if rests else first(schedule, now_ms, last))._replace(kept=kept)


def _kept(name: str, schedule: Schedule, begin_ms: int, end_ms: int) -> str:
    """Runs of instants in this time, and a little after it: somebody else may be quicker."""
    since = datetime.fromtimestamp((begin_ms - 1) / 1000, UTC)
    until = datetime.fromtimestamp(end_ms / 1000, UTC) + _SLACK
    instants = list(islice(takewhile(lambda at: at <= until, upcoming(schedule, since)), _MOST_KEPT + 1))
    if len(instants) > _MOST_KEPT:
        return KEEPS_ALL
    return ",".join(occurrence_id(name, schedule.id, round(1000 * at.timestamp())) for at in instants)


def moved_rows(deployment: Deployment, states: Sequence[ScheduleState]) -> list[ScheduleRow]:
    """Its schedules where they stopped."""
    stopped = {state.id: (_ms(state.next_at), _ms(state.last_at)) for state in states}
    return [_row(schedule, *stopped.get(schedule.id, (None, None))) for schedule in deployment.schedules]


def _row(schedule: Schedule, next_ms: int | None, last_ms: int | None = None) -> ScheduleRow:
    return ScheduleRow(schedule.id, timing_of(schedule), next_ms, overlap_of(schedule), last_ms)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
