"""Crons: five fields, or six of which the last is seconds. croniter reads them and finds wall-clock times.

croniter is only asked about naive wall-clock times; which instants these are is decided here:

- A cron whose minute and hour both do not begin with `*` names wall-clock times. Each of them fires once a day, by the
  policy in `zones.py`.
- Any other cron goes by elapsed time: it fires whenever the wall clock shows what it says, and twice where that
  comes twice.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

from ..errors import InvalidInput
from .zones import GAP_YEARS, instant_of, stretches, wall_of

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_CHANCE = re.compile(r"(^|[\s,])[hr](?=[\s,/(]|$)", re.IGNORECASE)  # croniter's H and R: another time on each look
_EXAMPLE = "five fields such as `0 9 * * 1-5` (minute, hour, day of month, month, day of week), or seconds as a sixth"
_SECOND = timedelta(seconds=1)


def fields_of(cron: str) -> str:
    """The fields of a cron, aliases replaced; raises InvalidInput for what is no cron."""
    said = " ".join(cron.split())
    fields = _ALIASES.get(said.lower(), said)
    if fields.startswith("@"):
        raise InvalidInput(f"{cron!r} is no alias that is known: {', '.join(_ALIASES)}")
    if len(fields.split()) not in {5, 6} or _CHANCE.search(fields):
        raise InvalidInput(f"{cron[:100]!r} is no cron: {_EXAMPLE}")
    try:
        croniter(fields)
    except (CroniterError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InvalidInput(f"{cron[:100]!r} is no cron ({error}): {_EXAMPLE}") from None
    return fields


def names_wall_times(fields: str) -> bool:
    """Whether a cron names wall-clock times; if not, it goes by elapsed time."""
    minute, hour = fields.split()[:2]
    return not minute.startswith("*") and not hour.startswith("*")


class Walls:
    """The wall-clock times that a cron names, on a clock without shifts."""

    __slots__ = ("_cron", "_found", "_searched")

    def __init__(self, fields: str, day_or: bool) -> None:  # noqa: FBT001 - the word of the document
        start = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock
        self._cron = croniter(fields, start, day_or=day_or, max_years_between_matches=GAP_YEARS)
        self._searched = self._found = start

    def next(self, wall: datetime) -> datetime | None:
        """The first time after `wall`; none: there is none within 50 years. Asking again nearby costs nothing."""
        if not self._searched <= wall < self._found:
            try:
                found = self._cron.get_next(datetime, start_time=wall)
            except (CroniterBadDateError, OverflowError):
                return None
            self._searched, self._found = wall, found
        return self._found


def cron_instants(cron: str, *, day_or: bool, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Instants (UTC) strictly after `after`, ascending."""
    fields = fields_of(cron)
    walls = Walls(fields, day_or)
    after = after.replace(microsecond=0)
    return _by_wall(walls, zone, after) if names_wall_times(fields) else _by_time(walls, zone, after)


def _by_wall(walls: Walls, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    # A wall clock that went back less than a day ago may show a time twice: begin before, and leave out what was.
    wall = walls.next(wall_of(zone, after - timedelta(days=1)))
    while wall is not None:
        instant = instant_of(zone, wall)
        if instant > last:
            yield instant
            last = instant
        wall = walls.next(wall)


def _by_time(walls: Walls, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    for begin, end, offset in stretches(zone, after + _SECOND):
        wall = begin.replace(tzinfo=None) + offset - _SECOND
        while True:
            found = walls.next(wall)
            if found is None:
                return
            instant = (found - offset).replace(tzinfo=end.tzinfo)
            if instant >= end:
                break
            yield instant
            wall = found
