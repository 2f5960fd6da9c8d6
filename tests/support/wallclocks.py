"""Another way to say what schedules do, minute by minute: slow, short, and shares nothing with the product."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Asia/Kolkata",
    "UTC",
)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@cache
def shifts(zone: str, first: int = 2011, years: int = 10) -> tuple[datetime, ...]:
    """The minutes (UTC) at which a clock is shifted, looked for hour by hour."""
    found, info = [], ZoneInfo(zone)
    hour, end = datetime(first, 1, 1, tzinfo=UTC), datetime(first + years, 1, 1, tzinfo=UTC)
    while hour < end:
        if hour.astimezone(info).utcoffset() != (hour + HOUR).astimezone(info).utcoffset():
            minutes = [hour + MINUTE * n for n in range(1, 61)]
            before = hour.astimezone(info).utcoffset()
            found.append(next(minute for minute in minutes if minute.astimezone(info).utcoffset() != before))
        hour += HOUR
    return tuple(found)


@lru_cache(maxsize=4)
def clock(zone: str, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Each minute from `begin` until before `end`, and what the clock on the wall shows."""
    info = ZoneInfo(zone)
    minutes = (begin + MINUTE * n for n in range((end - begin) // MINUTE))
    return [(minute, minute.astimezone(info).replace(tzinfo=None, fold=0)) for minute in minutes]


def reached(zone: str, walls: Iterable[datetime], begin: datetime, end: datetime) -> list[datetime]:
    """When a clock first shows each of these times, or a later one: watched from three days before `begin`."""
    wanted = sorted(walls, reverse=True)
    found = []
    for minute, shown in clock(zone, begin - 3 * DAY, end):
        due = False
        while wanted and wanted[-1] <= shown:
            wanted.pop()
            due = True
        if due and minute >= begin:
            found.append(minute)
    return found
