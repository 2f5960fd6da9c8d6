"""Wall clocks of zones. The policy of shifts is here, once; `docs/schedules.md` shows what it means.

A wall-clock time that exists is one instant: the first of the two when it comes twice. One that a shift leaves out is
the instant of the shift. What goes by elapsed time never asks: it has stretches of time in which a zone's offset is the
same.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ..errors import InvalidInput

LAST_YEAR = 9000
GAP_YEARS = (
    50  # what has no instant for so long has none any more: every pattern of leap days and weekdays comes back in 40
)
_STEP = timedelta(hours=6)  # no zone ever shifted twice within so little
_SECOND = timedelta(seconds=1)


class Stretch(NamedTuple):
    """Time from `begin` until before `end` (UTC), in which the wall clock is `offset` ahead of UTC."""

    begin: datetime
    end: datetime
    offset: timedelta


@lru_cache(maxsize=1000)
def zone_of(name: str) -> ZoneInfo:
    """The zone of that IANA name, or InvalidInput."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        raise InvalidInput(f"there is no time zone {name!r}: an IANA name such as Europe/Berlin or UTC") from None


def wall_of(zone: ZoneInfo, instant: datetime) -> datetime:
    """What the wall clock shows at an instant, naive."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def instant_of(zone: ZoneInfo, wall: datetime) -> datetime:
    """The instant (UTC) of a naive wall-clock time, by the policy above."""
    ahead = wall.replace(tzinfo=zone, fold=0).utcoffset() or timedelta()
    instant = (wall - ahead).replace(tzinfo=UTC)
    if wall_of(zone, instant) == wall:
        return instant
    around = (instant - timedelta(days=2), instant + timedelta(days=2))
    for stretch in _stretches(zone, *around):
        if wall_of(zone, stretch.begin) > wall:
            return stretch.begin
    return instant


def stretches(zone: ZoneInfo, after: datetime) -> Iterator[Stretch]:
    """Stretches from the one that `after` is in, whole years of them at a time, up to the last year."""
    begin = after
    for year in range(after.year, LAST_YEAR):
        for shift in (*_shifts(zone, year), datetime(year + 1, 1, 1, tzinfo=UTC)):
            if shift > begin:
                yield Stretch(begin, shift, _offset(zone, begin))
                begin = shift


def _stretches(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[Stretch]:
    for stretch in stretches(zone, begin):
        if stretch.begin >= end:
            return
        yield stretch


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


@lru_cache(maxsize=4096)
def _shifts(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The instants of a year (UTC) at which the offset changes."""
    if zone.key == "UTC":
        return ()
    found = []
    low = datetime(year, 1, 1, tzinfo=UTC) - _SECOND
    end = datetime(year + 1, 1, 1, tzinfo=UTC) - _SECOND
    while low < end:
        high = min(low + _STEP, end)
        if _offset(zone, low) != _offset(zone, high):
            found.append(_shift_between(zone, low, high))
        low = high
    return tuple(found)


def _shift_between(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    before = _offset(zone, low)
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high
