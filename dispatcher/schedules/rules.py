"""Recurrence rules: the instants of a text. FREQ=DAILY and longer name wall-clock times, shorter ones elapsed time.

A rule begins at its DTSTART; without one at the schedule's start, and without that at 1970-01-01 00:00 of the zone. A
rule without COUNT is not walked from its beginning: it begins anew, in the same rhythm, shortly before the instants
asked for.
"""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from .days import daily_walls, elapsed_instants
from .recurrence import FREQUENCIES, WEEKDAYS, Recurrence, Rule, recurrence_of, refuse
from .zones import GAP_YEARS, LAST_YEAR, instant_of, wall_of

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock
_WEEK = timedelta(days=7)


def rule_instants(text: str, *, start: datetime | None, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Instants (UTC) strictly after `after`, ascending."""
    said = recurrence_of(text, zone)
    begin = said.begin or (wall_of(zone, start).replace(microsecond=0) if start else None)
    if begin is None and any(rule.at_most for rule in said.rules):
        refuse("COUNT wants to know from when: add DTSTART, or `start` to the schedule")
    return _all(said, begin or _EPOCH, zone, after)


def _all(said: Recurrence, begin: datetime, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    never = {instant_of(zone, wall) for wall in said.never}
    also = sorted(instant_of(zone, wall) for wall in said.also)
    last = after
    for instant in heapq.merge(also, *(_of_rule(rule, begin, zone, after) for rule in said.rules)):
        if instant > last and instant not in never:
            yield instant
            last = instant


def _of_rule(rule: Rule, begin: datetime, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """A rule's instants, ascending, from before `after` on or earlier; a skipped time may repeat one."""
    if rule.freq in FREQUENCIES[4:]:
        until = instant_of(zone, rule.until) if rule.until else None
        found = elapsed_instants(rule, begin, zone, after)
        bounded = takewhile(lambda instant: until is None or instant <= until, found)
        return islice(bounded, rule.at_most)
    near = wall_of(zone, after) - timedelta(days=2)
    rule = _by_the_day(rule, begin)
    walls = daily_walls(rule, begin, near) if rule.freq == "DAILY" else _long_walls(rule, begin, near)
    bounded_walls = takewhile(lambda wall: rule.until is None or wall <= rule.until, walls)
    return (instant_of(zone, wall) for wall in islice(bounded_walls, rule.at_most))


def _by_the_day(rule: Rule, begin: datetime) -> Rule:
    """A rule of each week is one of each day: days that never come are found out sooner."""
    if rule.freq != "WEEKLY" or rule.interval > 1 or "BYSETPOS" in rule.by:
        return rule
    free = rule.byday or rule.by.keys() & {"BYMONTHDAY", "BYYEARDAY"}
    return rule._replace(freq="DAILY", byday=rule.byday if free else (WEEKDAYS[begin.weekday()],))


def _long_walls(rule: Rule, begin: datetime, near: datetime) -> Iterator[datetime]:
    """Wall-clock times of a weekly, monthly or yearly rule; none any more after decades without one."""
    origin = begin if rule.at_most else _anew(rule, begin, near)
    last = max(begin, near)
    for wall in _dateutil(rule, begin, origin):
        if (wall - last).days > GAP_YEARS * 366 * max(rule.interval, 1):
            return
        if wall.year >= LAST_YEAR:
            return
        last = max(wall, last)
        if wall >= begin:
            yield wall


def _anew(rule: Rule, begin: datetime, near: datetime) -> datetime:
    """A later beginning in the same rhythm, two periods or more before `near`."""
    if rule.freq == "WEEKLY":
        step = _WEEK * rule.interval
        return begin + max((near - begin) // step - 2, 0) * step
    months = rule.interval * (12 if rule.freq == "YEARLY" else 1)
    passed = (near.year - begin.year) * 12 + near.month - begin.month
    periods = passed // months - 2
    if periods <= 0:
        return begin
    year, month = divmod(begin.year * 12 + begin.month - 1 + periods * months, 12)
    return begin.replace(year=year, month=month + 1, day=1)


def _dateutil(rule: Rule, begin: datetime, origin: datetime) -> Iterator[datetime]:
    """What dateutil makes of it. What it takes from the beginning is said to it: the new one may be another day."""
    by = {name: ",".join(map(str, values)) for name, values in rule.by.items()}
    if rule.byday:
        by["BYDAY"] = ",".join(rule.byday)
    if not by.keys() & {"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"} and rule.freq != "WEEKLY":
        by["BYMONTHDAY"] = str(begin.day)
        if rule.freq == "YEARLY":
            by.setdefault("BYMONTH", str(begin.month))
    parts = {"FREQ": rule.freq, "INTERVAL": str(rule.interval), "WKST": rule.wkst, **by}
    made = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=origin)
    return iter(made) if isinstance(made, rrule) else iter(())
