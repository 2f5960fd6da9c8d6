"""How many instants a cron has in a time, counted without walking: days are found one by one, their times multiplied.

After a year of downtime a scheduler says how many of 31 million instants it drops; it does not look at them.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from .cron import Walls, fields_of, names_wall_times
from .zones import Stretch, stretches

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_ALL = (60, 24, 31, 12, 7, 60)


def cron_count(cron: str, *, day_or: bool, zone: ZoneInfo, begin: datetime, end: datetime) -> int:
    """How many instants there are from `begin` until before `end` (UTC)."""
    fields = fields_of(cron)
    counter = _Counter(fields, day_or)
    begin, end = _up(begin), _up(end)
    if names_wall_times(fields):
        return sum(_in_stretch(counter, *pair, begin, end) for pair in _pairs(zone, begin, end))
    found = 0
    for stretch in stretches(zone, begin):
        if stretch.begin >= end:
            break
        found += counter.between(_wall(stretch.begin, stretch.offset), _wall(min(stretch.end, end), stretch.offset))
    return found


def _pairs(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[tuple[timedelta, Stretch]]:
    """Stretches, each with the offset before it, from two days before `begin` on."""
    before = None
    for stretch in stretches(zone, begin - 2 * _DAY):
        if stretch.begin >= end:
            return
        yield stretch.offset if before is None else before, stretch
        before = stretch.offset


def _in_stretch(counter: "_Counter", before: timedelta, stretch: Stretch, begin: datetime, end: datetime) -> int:
    """Wall-clock times that fire in a stretch: not those shown before it, and one at its begin for all it left out."""
    fresh = stretch.begin + max(before - stretch.offset, timedelta())
    low, high = max(fresh, begin), min(stretch.end, end)
    found = counter.between(_wall(low, stretch.offset), _wall(high, stretch.offset)) if low < high else 0
    shown, gone = _wall(stretch.begin, stretch.offset), _wall(stretch.begin, before)
    if begin <= stretch.begin < end and gone < shown and counter.between(gone, shown):
        found += 0 if counter.between(shown, shown + _SECOND) else 1
    return found


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return instant.replace(tzinfo=None) + offset


def _up(instant: datetime) -> datetime:
    """The next whole second: crons have no others."""
    instant = instant.astimezone(UTC)
    return instant if not instant.microsecond else instant.replace(microsecond=0) + _SECOND


class _Counter:
    """Counts wall-clock times of a cron, on a clock without shifts."""

    def __init__(self, fields: str, day_or: bool) -> None:  # noqa: FBT001 - the word of the document
        minutes, hours, *_, seconds = _values(fields)
        self._times = [hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds]
        self._days = Walls(" ".join(["0", "0", *fields.split()[2:5]]), day_or)

    def between(self, begin: datetime, end: datetime) -> int:
        """How many from `begin` until before `end`."""
        first, last = begin.date(), end.date()
        whole = sum(1 for _ in self._named(datetime.combine(first, time()), datetime.combine(last, time())))
        return whole * len(self._times) - self._before(begin) + self._before(end)

    def _before(self, wall: datetime) -> int:
        """How many on the day of `wall` before it."""
        midnight = datetime.combine(wall.date(), time())
        if not any(self._named(midnight, midnight + _DAY)):
            return 0
        return bisect_left(self._times, (wall - midnight).total_seconds())

    def _named(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        day = self._days.next(begin - _SECOND)
        while day is not None and day < end:
            yield day
            day = self._days.next(day)


def _values(fields: str) -> list[list[int]]:
    """What each field names, ascending; the sixth is 0 when it is left out."""
    named: list[list[int]] = [
        list(range(most)) if "*" in field else sorted(int(value) for value in field)
        for field, most in zip(croniter(fields).expanded, _ALL, strict=False)
    ]
    return named if len(named) == 6 else [*named, [0]]
