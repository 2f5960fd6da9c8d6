"""What fires now: the misfire policy, in one place.

An instant is missed when it is more than 60 s later than jitter could have made it. `skip` drops what was missed.
`latest` fires, when any was missed, only the latest of all instants that are due. `all` fires what was missed within
`window`, the latest `most` of it, and what is on time. Instants fire in their order: one whose jitter is short waits
for those before.
"""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from .counting import cron_count
from .document import Schedule
from .instants import instant_at, ms_of, period_of, upcoming, whole_ms
from .intervals import interval_count
from .jitter import due
from .zones import zone_of

LATE_MS = 60_000
AT_ONCE = 100
COUNTED = 10_000  # rules are counted by walking, no further than this
_MS = timedelta(milliseconds=1)


class Firing(NamedTuple):
    """What a scheduler does now. Instants in ms; `missed` were dropped; `more`: call again at once with `next_ms`.

    `missed` is exact, but for a rule that missed more than 10,000: `uncounted` says there were more.
    """

    instants: tuple[int, ...]
    next_ms: int | None
    missed: int
    more: bool
    uncounted: bool = False


def plan(schedule: Schedule, deployment: str, next_ms: int, now_ms: int, ahead_ms: int = 0) -> Firing:
    """What fires of the nominal instants from `next_ms` on that are due by `now_ms`; at most 100 a call.

    Those of the next `ahead_ms` fire too: their runs are prepared before they are due.
    """
    on_time_ms = max(next_ms, now_ms - _late_ms(schedule))
    on_time, then_ms = _ready(schedule, deployment, on_time_ms, now_ms + ahead_ms)
    dropped, uncounted, fires = 0, False, on_time
    if next_ms < on_time_ms:
        missed, uncounted = _count(schedule, next_ms, on_time_ms)
        kept = _kept(schedule, next_ms, on_time_ms, now_ms)
        fires = kept + on_time
        if missed and schedule.misfire == "latest":
            fires = fires[-1:]
        dropped = missed + len(on_time) - len(fires)
    if len(fires) > AT_ONCE:
        return Firing(tuple(fires[:AT_ONCE]), fires[AT_ONCE], dropped, more=True, uncounted=uncounted)
    return Firing(tuple(fires), then_ms, dropped, more=False, uncounted=uncounted)


def first(schedule: Schedule, now_ms: int, fired_ms: int | None = None) -> int | None:
    """The nominal instant that a new or resumed schedule waits for; none: there is none any more.

    Instants before now are over: nobody promised them. Only a one-off whose instant has passed is given to the misfire
    policy: `skip` drops it when it is more than 60 s late, `latest` fires it now, `all` when it is within `window`.
    What was up to `fired_ms` is over in any case.
    """
    since = now_ms - 1
    if schedule.at is not None and schedule.misfire != "skip":
        since = -1 if schedule.misfire == "latest" else now_ms - _window_ms(schedule) - 1
    elif schedule.at is not None:
        since = now_ms - _late_ms(schedule) - 1
    return _next(schedule, max(since, fired_ms if fired_ms is not None else since))


def _ready(schedule: Schedule, deployment: str, begin_ms: int, now_ms: int) -> tuple[list[int], int | None]:
    """The instants from `begin_ms` on that are due, as long as each is, and the one that is waited for next."""
    ready: list[int] = []
    for instant in upcoming(schedule, instant_at(begin_ms - 1)):
        if ms_of(due(schedule, deployment, instant)) > now_ms:
            return ready, ms_of(instant)
        ready.append(ms_of(instant))
    return ready, None


def _late_ms(schedule: Schedule) -> int:
    return LATE_MS + round(schedule.jitter * 1000)


def _kept(schedule: Schedule, begin_ms: int, end_ms: int, now_ms: int) -> list[int]:
    """Which of the missed instants from `begin_ms` until before `end_ms` fire."""
    if schedule.misfire == "skip":
        return []
    if schedule.misfire == "latest":
        return _latest(schedule, begin_ms, end_ms, 1)
    return _latest(schedule, max(begin_ms, now_ms - _window_ms(schedule)), end_ms, schedule.most)


def _latest(schedule: Schedule, begin_ms: int, end_ms: int, most: int) -> list[int]:
    """The latest `most` instants, ascending: looked for in twice as long a time until there are enough."""
    back_ms = most * int(max(period_of(schedule) / _MS, 1000))
    while True:
        since = max(end_ms - back_ms, begin_ms)
        found = deque(_between(schedule, since, end_ms), maxlen=most)
        if len(found) == most or since == begin_ms:
            return list(found)
        back_ms *= 2


def _count(schedule: Schedule, begin_ms: int, end_ms: int) -> tuple[int, bool]:
    """How many instants, and whether there are more than were counted."""
    begin, end = _bounds(schedule, begin_ms, end_ms)
    zone = zone_of(schedule.timezone)
    if schedule.cron is not None:
        return cron_count(schedule.cron, day_or=schedule.day_or, zone=zone, begin=begin, end=end), False
    if schedule.interval is not None:
        anchor = whole_ms(schedule.anchor)
        count = interval_count(period_of(schedule), anchor=anchor, zone=zone, begin=begin, end=end)
        if count is not None:
            return count, False
    found = sum(1 for _ in islice(_between(schedule, begin_ms, end_ms), COUNTED + 1))
    return min(found, COUNTED), found > COUNTED


def _bounds(schedule: Schedule, begin_ms: int, end_ms: int) -> tuple[datetime, datetime]:
    """From when until before when its start and end leave."""
    begin, end = instant_at(begin_ms), instant_at(end_ms)
    begin = max(begin, schedule.start) if schedule.start else begin
    end = min(end, schedule.end + timedelta(microseconds=1)) if schedule.end else end
    return begin, max(begin, end)


def _between(schedule: Schedule, begin_ms: int, end_ms: int) -> Iterator[int]:
    """Instants from `begin_ms` until before `end_ms`."""
    found = map(ms_of, upcoming(schedule, instant_at(begin_ms - 1)))
    return takewhile(lambda ms: ms < end_ms, found)


def _next(schedule: Schedule, after_ms: int) -> int | None:
    return next(map(ms_of, upcoming(schedule, instant_at(after_ms))), None)


def _window_ms(schedule: Schedule) -> int:
    return round(schedule.window * 1000)
