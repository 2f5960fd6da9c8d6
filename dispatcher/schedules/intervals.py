"""Intervals: so long from each instant to the next, from an anchor that is one of them, in both directions.

Whole days (24 h, 48 h, ...) keep the wall clock of the zone, by the policy in `zones.py`; any other interval is elapsed
time. Without an anchor it is 1970-01-01 00:00 of the zone, so that the same interval has the same instants whenever and
wherever it is written.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from .zones import LAST_YEAR, instant_of, wall_of

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock


def interval_instants(
    interval: timedelta, *, anchor: datetime | None, zone: ZoneInfo, after: datetime
) -> Iterator[datetime]:
    """Instants (UTC) strictly after `after`, ascending."""
    if interval % _DAY:
        return _by_time(interval, _anchor(anchor, zone), after.astimezone(UTC))
    return _by_wall(interval, wall_of(zone, anchor) if anchor else _EPOCH, zone, after)


def interval_count(
    interval: timedelta, *, anchor: datetime | None, zone: ZoneInfo, begin: datetime, end: datetime
) -> int | None:
    """How many instants there are from `begin` until before `end`; none: it must be counted by walking, days apart."""
    if not interval % _DAY:
        return None
    first = _anchor(anchor, zone)
    return max((first - begin) // interval - (first - end) // interval, 0)


def _anchor(anchor: datetime | None, zone: ZoneInfo) -> datetime:
    return anchor.astimezone(UTC) if anchor else instant_of(zone, _EPOCH)


def _by_time(interval: timedelta, anchor: datetime, after: datetime) -> Iterator[datetime]:
    step = (after - anchor) // interval + 1
    last = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
    while interval * step < last - anchor:
        yield anchor + interval * step
        step += 1


def _by_wall(interval: timedelta, anchor: datetime, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    step = (wall_of(zone, after) - anchor) // interval - 1  # one before: the clock may just have gone back
    last = after
    end = datetime(LAST_YEAR, 1, 1)  # noqa: DTZ001 - a wall clock
    while interval * step < end - anchor:
        instant = instant_of(zone, anchor + interval * step)
        if instant > last:
            yield instant
            last = instant
        step += 1
