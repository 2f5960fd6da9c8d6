"""The nominal instants of a schedule, and whether it has any. Jitter and misfire come after these."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from ..errors import InvalidInput
from .cron import cron_instants
from .document import Schedule
from .intervals import interval_instants
from .rules import rule_instants
from .zones import GAP_YEARS, zone_of

_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def upcoming(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Instants strictly after `after` in UTC, ascending, from `start` to `end`, both included. Paused or not.

    What is found is found as it is asked for: there may be no end of instants. Raises InvalidInput as `check`.
    """
    after = after.astimezone(UTC)
    if schedule.start is not None:
        after = max(after, schedule.start.astimezone(UTC) - _TICK)
    found = _instants(schedule, after)
    if schedule.end is None:
        return found
    end = schedule.end.astimezone(UTC)
    return takewhile(lambda instant: instant <= end, found)


def check(schedule: Schedule) -> None:
    """Raise InvalidInput for a schedule that is not well formed or never has an instant, with an example."""
    if schedule.start and schedule.end and schedule.end < schedule.start:
        raise InvalidInput(f"schedule {schedule.id!r} ends before it starts: `end` is after `start`")
    begin = (schedule.start or _EPOCH).astimezone(UTC) - _TICK
    if next(upcoming(schedule, begin), None) is None:
        raise InvalidInput(
            f"schedule {schedule.id!r} never has an instant within {GAP_YEARS} years ({_said(schedule)[:200]}): "
            "look at its days, e.g. `0 0 28 2 *` for one of each February, and at `start` and `end`"
        )


def describe(schedule: Schedule) -> str:
    """A schedule in one line for people: `cron 0 9 * * * in Europe/Berlin`, `every 1h`, `once at ...`."""
    zoned = schedule.cron is not None or schedule.rrule is not None
    zoned = zoned or (schedule.interval is not None and not period_of(schedule) % timedelta(days=1))
    return _said(schedule) + (f" in {schedule.timezone}" if zoned else "")


def ms_of(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return (instant - _EPOCH) // _MS


def instant_at(ms: int) -> datetime:
    """The instant so many milliseconds after 1970, in UTC."""
    return _EPOCH + ms * _MS


def whole_ms(instant: datetime | None) -> datetime | None:
    """An instant of a document in UTC and without what is finer than a millisecond, as instants are stored."""
    return instant and instant_at(ms_of(instant))


def period_of(schedule: Schedule) -> timedelta:
    """How long an interval is, in whole milliseconds."""
    return timedelta(milliseconds=round((schedule.interval or 0) * 1000))


def _instants(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    zone = zone_of(schedule.timezone)
    if schedule.cron is not None:
        return cron_instants(schedule.cron, day_or=schedule.day_or, zone=zone, after=after)
    if schedule.interval is not None:
        return interval_instants(period_of(schedule), anchor=whole_ms(schedule.anchor), zone=zone, after=after)
    if schedule.rrule is not None:
        return rule_instants(schedule.rrule, start=schedule.start, zone=zone, after=after)
    at = whole_ms(schedule.at)
    return iter((at,) if at and at > after else ())


def _said(schedule: Schedule) -> str:
    if schedule.cron is not None:
        return f"cron {' '.join(schedule.cron.split())}"
    if schedule.interval is not None:
        return f"every {_short(period_of(schedule))}"
    if schedule.rrule is not None:
        return f"rrule {' '.join(schedule.rrule.split())}"
    return f"once at {schedule.at.isoformat() if schedule.at else ''}"


def _short(period: timedelta) -> str:
    """`1h30m`."""
    parts, rest = [], period // _MS
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        many, rest = divmod(rest, size)
        if many:
            parts.append(f"{many}{unit}")
    return "".join(parts)
