"""Recurrence rules by the day and shorter.

Days that a rule names are found a year at a time, so that a rule which names none costs fifty years of looking and not
eight thousand. Rules of FREQ=DAILY name wall-clock times; shorter ones go by elapsed time from their beginning, and
their BY parts are asked of the wall clock at that time.
"""

from calendar import isleap, monthrange
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

from .recurrence import WEEKDAYS, Rule
from .zones import GAP_YEARS, LAST_YEAR, instant_of, wall_of

_UNITS = {
    "HOURLY": timedelta(hours=1),
    "MINUTELY": timedelta(minutes=1),
    "SECONDLY": timedelta(seconds=1),
}
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
MOST_LOOKS = 100_000  # from one instant to the next; a rule that needs more never hits its own BY parts


def daily_walls(rule: Rule, begin: datetime, near: datetime) -> Iterator[datetime]:
    """Wall-clock times of a FREQ=DAILY rule, from `near` on or earlier, ascending."""
    step = timedelta(days=rule.interval)
    day = begin if rule.at_most else begin + max((near - begin) // step - 1, 0) * step
    times = _times(rule, begin)
    last = day
    while times and day.year < LAST_YEAR and (day - last).days < GAP_YEARS * 366 + rule.interval:
        if day.date() in _days(rule, day.year):
            last = day
            for hour, minute, second in times:
                wall = day.replace(hour=hour, minute=minute, second=second)
                if wall >= begin:
                    yield wall
        day += step


def elapsed_instants(rule: Rule, begin: datetime, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Instants (UTC) of a rule shorter than a day, from before `after` on or earlier, ascending."""
    origin = grid = instant_of(zone, begin)
    hours = 1
    if rule.freq == "HOURLY" and "BYMINUTE" in rule.by:  # each minute of such an hour is asked, shifted or not
        rule, hours = rule._replace(freq="MINUTELY", interval=1), rule.interval
        grid -= timedelta(minutes=begin.minute)
    step = _UNITS[rule.freq] * rule.interval
    point = grid if rule.at_most else grid + max((after - grid) // step - 1, 0) * step
    looks = 0
    limit = point + timedelta(days=GAP_YEARS * 366)
    while looks < MOST_LOOKS and point < limit:
        passed = (point - grid) // _HOUR % hours
        if passed:
            looks += 1
            point = grid + ((point - grid) // _HOUR - passed + hours) * _HOUR
            continue
        wall = wall_of(zone, point)
        skip = _skip(rule, wall)
        if skip:
            looks += 1
            ahead = point + -(-skip // step) * step
            steady = ahead - point == wall_of(zone, ahead) - wall
            point = ahead if steady or skip >= _DAY else point + -(-_to_minute(wall) // step) * step
            continue
        for instant in _within(rule, wall, point):
            if instant >= origin:
                looks, limit = 0, instant + timedelta(days=GAP_YEARS * 366)
                yield instant
        point += step


def _skip(rule: Rule, wall: datetime) -> timedelta | None:
    """For how long the wall clock shows nothing of the rule, if it is not shifted meanwhile; none: it may now.

    Days are skipped a day short and not just after midnight, so that no shift brings a named day nearer than that.
    """
    by = rule.by
    if wall.date() not in _days(rule, wall.year):
        midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
        far = (midnight + _DAY * _empty_days(rule, wall.date())) - wall
        return far - _DAY if far > 2 * _DAY and wall.hour > 2 else min(far, _HOUR)
    if "BYHOUR" in by and wall.hour not in by["BYHOUR"]:
        return timedelta(minutes=30 - wall.minute % 30, seconds=-wall.second)
    if "BYMINUTE" in by and wall.minute not in by["BYMINUTE"]:
        return _to_minute(wall)
    if rule.freq == "SECONDLY" and "BYSECOND" in by and wall.second not in by["BYSECOND"]:
        return timedelta(seconds=1)
    return None


def _to_minute(wall: datetime) -> timedelta:
    """To the next whole minute: no zone was ever shifted within one."""
    return timedelta(seconds=60 - wall.second)


def _empty_days(rule: Rule, day: date) -> int:
    """How many days from `day` on the rule does not name, at most a year of them."""
    for days in range(1, 366):
        then = day + _DAY * days
        if then in _days(rule, then.year):
            return days
    return 366


def _within(rule: Rule, wall: datetime, point: datetime) -> list[datetime]:
    """The instant of a point of the rule, or those of its minute that the rule names by their seconds."""
    seconds = rule.by.get("BYSECOND", (wall.second,)) if rule.freq != "SECONDLY" else (wall.second,)
    return [point + timedelta(seconds=second - wall.second) for second in seconds]


def _times(rule: Rule, begin: datetime) -> list[tuple[int, int, int]]:
    times = sorted(
        product(
            rule.by.get("BYHOUR", (begin.hour,)),
            rule.by.get("BYMINUTE", (begin.minute,)),
            rule.by.get("BYSECOND", (begin.second,)),
        )
    )
    chosen = rule.by.get("BYSETPOS")
    if chosen is None:
        return times
    places = {place - 1 if place > 0 else len(times) + place for place in chosen}
    return [time for place, time in enumerate(times) if place in places]


def _days(rule: Rule, year: int) -> frozenset[date]:
    by = rule.by
    months, month_days, year_days = by.get("BYMONTH"), by.get("BYMONTHDAY"), by.get("BYYEARDAY")
    return _days_of(year, months, month_days, year_days, rule.byday)


@lru_cache(maxsize=2000)
def _days_of(
    year: int,
    months: tuple[int, ...] | None,
    month_days: tuple[int, ...] | None,
    year_days: tuple[int, ...] | None,
    named: tuple[str, ...],
) -> frozenset[date]:
    """The days of a year on which all of these hold."""
    length = 366 if isleap(year) else 365
    weekdays = {WEEKDAYS.index(name) for name in named}
    found = []
    for number in range(1, length + 1):
        day = date(year, 1, 1) + _DAY * (number - 1)
        if months and day.month not in months:
            continue
        if weekdays and day.weekday() not in weekdays:
            continue
        if _at(number, length, year_days) and _at(day.day, monthrange(year, day.month)[1], month_days):
            found.append(day)
    return frozenset(found)


def _at(place: int, length: int, named: tuple[int, ...] | None) -> bool:
    """Whether a day is named by its number from the begin, or from the end."""
    return not named or place in named or place - length - 1 in named
