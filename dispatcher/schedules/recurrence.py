"""Recurrence rules as text (RFC 5545): lines DTSTART, RRULE, RDATE and EXDATE; or the parts of one RRULE alone.

Dates without a zone are wall-clock times of the schedule's zone; those with `Z` or `TZID` are brought to it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, NoReturn
from zoneinfo import ZoneInfo

from ..errors import InvalidInput
from .zones import GAP_YEARS, wall_of, zone_of

LONGEST = 6_500
MOST_COUNTED = 10_000  # a COUNT is walked from its beginning each time
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
_SECONDS = dict(zip(FREQUENCIES, (31_622_400, 2_678_400, 604_800, 86_400, 3_600, 60, 1), strict=True))
_LONGEST_PERIOD = GAP_YEARS * 31_622_400
_RANGES = {
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYSECOND": (0, 59),
    "BYSETPOS": (-366, 366),
}
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_KNOWN = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_RANGES}


class Rule(NamedTuple):
    """One RRULE: its parts that are lists of numbers in `by`; `until` is a wall-clock time."""

    freq: str
    interval: int
    at_most: int | None
    until: datetime | None
    by: dict[str, tuple[int, ...]]
    byday: tuple[str, ...]
    wkst: str


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What a text says. Times are wall-clock times of the schedule's zone."""

    rules: tuple[Rule, ...]
    begin: datetime | None
    also: tuple[datetime, ...]
    never: tuple[datetime, ...]


def refuse(what: str) -> NoReturn:
    """Raise InvalidInput with an example."""
    raise InvalidInput(f"{what}: an rrule is e.g. `FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=9;BYMINUTE=0;BYSECOND=0`")


def recurrence_of(text: str, zone: ZoneInfo) -> Recurrence:
    """Read a text, or raise InvalidInput with what is wrong in it."""
    if len(text) > LONGEST:
        refuse(f"an rrule has up to {LONGEST:,} characters, this one {len(text):,}")
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\n ", "").split("\n") if line.strip()]
    rules: list[Rule] = []
    dates: dict[str, list[datetime]] = {"DTSTART": [], "RDATE": [], "EXDATE": []}
    for line in lines:
        head, colon, value = line.partition(":")
        name, *parameters = head.split(";") if colon else ("RRULE",)
        if name.upper() == "RRULE":
            rules.append(_rule(value if colon else line, zone))
        elif name.upper() in dates:
            dates[name.upper()] += _dates(value, parameters, zone)
        else:
            refuse(f"{name[:40]!r} is not known in an rrule: DTSTART, RRULE, RDATE and EXDATE are")
    if not rules or len(dates["DTSTART"]) > 1:
        refuse("an rrule has one RRULE or more, and one DTSTART at most")
    begin = dates["DTSTART"][0] if dates["DTSTART"] else None
    return Recurrence(tuple(rules), begin, tuple(dates["RDATE"]), tuple(dates["EXDATE"]))


def _rule(text: str, zone: ZoneInfo) -> Rule:
    parts: dict[str, str] = {}
    for part in text.upper().rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value or name not in _KNOWN or name in parts:
            refuse(f"{part[:60]!r} is no part of an RRULE, or is there twice")
        parts[name] = value
    freq = parts.get("FREQ", "none")
    if freq not in FREQUENCIES:
        refuse(f"FREQ is {freq}; it is one of {', '.join(FREQUENCIES)}")
    wkst = parts.get("WKST", "MO")
    if wkst not in WEEKDAYS:
        refuse(f"WKST={wkst[:20]} is no weekday such as MO")
    rule = Rule(
        freq,
        _number(parts, "INTERVAL", _LONGEST_PERIOD // _SECONDS[freq]) or 1,
        _number(parts, "COUNT", MOST_COUNTED),
        _date(parts["UNTIL"], zone, zone) if "UNTIL" in parts else None,
        {name: _numbers(name, parts[name]) for name in _RANGES if name in parts},
        _weekdays(parts["BYDAY"], freq) if "BYDAY" in parts else (),
        wkst,
    )
    _fits(rule)
    return rule


def _fits(rule: Rule) -> None:
    """What goes with which frequency."""
    if rule.at_most is not None and rule.until is not None:
        refuse("COUNT and UNTIL do not go together")
    if "BYSETPOS" in rule.by and rule.freq in FREQUENCIES[4:]:
        refuse(f"BYSETPOS does not go with FREQ={rule.freq}")
    if "BYSETPOS" in rule.by and len(rule.by) == 1 and not rule.byday:
        refuse("BYSETPOS wants another BY part to choose from")
    if "BYWEEKNO" in rule.by and rule.freq != "YEARLY":
        refuse("BYWEEKNO goes with FREQ=YEARLY only")


def _number(parts: dict[str, str], name: str, most: int) -> int | None:
    value = parts.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 12 and 1 <= int(value) <= most):
        refuse(f"{name}={value[:20]} is not a number from 1 to {most:,}")
    return int(value)


def _numbers(name: str, value: str) -> tuple[int, ...]:
    low, high = _RANGES[name]
    found = []
    for text in value.split(","):
        digits = text.lstrip("+-")
        if not (digits.isascii() and digits.isdigit() and len(text) < 6 and low <= int(text) <= high):
            refuse(f"{name}={text[:20]} is not a number from {low} to {high}")
        if low < 0 and int(text) == 0:
            refuse(f"{name}=0 means nothing")
        found.append(int(text))
    return tuple(sorted(set(found)))


def _weekdays(value: str, freq: str) -> tuple[str, ...]:
    for text in value.split(","):
        nth = text[:-2].lstrip("+-")
        if text[-2:] not in WEEKDAYS or not (nth == "" or (nth.isdigit() and len(nth) < 3 and 1 <= int(nth) <= 53)):
            refuse(f"BYDAY={text[:20]} is no weekday such as MO, or 2MO for the second one")
        if text[:-2] and freq not in {"MONTHLY", "YEARLY"}:
            refuse(f"BYDAY={text} goes with FREQ=MONTHLY and FREQ=YEARLY only")
    return tuple(value.split(","))


def _dates(value: str, parameters: list[str], zone: ZoneInfo) -> list[datetime]:
    given = zone
    for parameter in parameters:
        name, _, said = parameter.partition("=")
        if name.upper() == "TZID":
            given = zone_of(said)
        elif parameter.upper() not in {"VALUE=DATE", "VALUE=DATE-TIME"}:
            refuse(f"{parameter[:40]!r} is not known beside a date: TZID and VALUE=DATE are")
    return [_date(text.strip(), given, zone) for text in value.split(",")]


def _date(text: str, given: ZoneInfo, zone: ZoneInfo) -> datetime:
    """A wall-clock time of `zone`."""
    bare = text.upper().removesuffix("Z")
    try:
        wall = datetime.strptime(bare, "%Y%m%dT%H%M%S" if "T" in bare else "%Y%m%d")  # noqa: DTZ007 - a wall clock
        if bare != text.upper():
            return wall_of(zone, wall.replace(tzinfo=UTC))
        return wall if given is zone else wall_of(zone, wall.replace(tzinfo=given))
    except (ValueError, OverflowError):
        refuse(f"{text[:40]!r} is no date such as 20300131T080000 or 20300131T080000Z")
