"""Intervals and recurrence rules beside an oracle that watches a clock minute by minute."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from random import Random
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from dispatcher.schedules import Schedule, upcoming
from tests.support.wallclocks import DAY, HOUR, MINUTE, ZONES, clock, reached, shifts

ANCHORS = (None, "2010-07-01T02:30:00+00:00", "2031-01-15T06:00:00+00:00")
LONG_RULES = (
    "DTSTART:20100101T023000\nRRULE:FREQ=DAILY",
    "DTSTART:20100101T000000\nRRULE:FREQ=DAILY;INTERVAL=3;BYHOUR=0,2,23;BYMINUTE=0,15",
    "DTSTART:20100102T013000\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SA,SU",
    "DTSTART:20100103T020000\nRRULE:FREQ=WEEKLY",
    "DTSTART:20100131T001500\nRRULE:FREQ=MONTHLY",
    "DTSTART:20100101T023000\nRRULE:FREQ=MONTHLY;BYDAY=-1SU,2SU,-1SA",
    "DTSTART:20100101T020000\nRRULE:FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=-1,2",
    "DTSTART:20100314T023000\nRRULE:FREQ=YEARLY",
    "DTSTART:20100101T020000\nRRULE:FREQ=YEARLY;BYMONTH=3,10,11;BYDAY=SU",
    "DTSTART:20120229T120000\nRRULE:FREQ=YEARLY;BYWEEKNO=10,12,44;BYDAY=SU",
    "DTSTART:20101105T010000\nRRULE:FREQ=DAILY;COUNT=3000",
    "DTSTART:20101105T010000\nRRULE:FREQ=DAILY;UNTIL=20150329T010000",
)


def ours(schedule: Schedule, begin: datetime, end: datetime) -> list[datetime]:
    found = upcoming(schedule, begin - timedelta(milliseconds=1))
    return list(takewhile(lambda instant: instant < end, found))


def windows(zone: str):
    for shift in shifts(zone) or (datetime(2015, 2, 28, tzinfo=UTC),):
        yield shift - 2 * DAY, shift + 2 * DAY


def first_of(zone: str, anchor: str | None) -> datetime:
    """The wall-clock time of an interval's anchor."""
    if anchor is None:
        return datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock
    return datetime.fromisoformat(anchor).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.fault(29)
@pytest.mark.parametrize("zone", ZONES)
def test_intervals_of_whole_days_keep_the_wall_clock(zone: str) -> None:
    for begin, end in windows(zone):
        for anchor in ANCHORS:
            for days in (1, 2, 7):
                first = first_of(zone, anchor)
                near = first + (begin.replace(tzinfo=None) - 6 * DAY - first) // (days * DAY) * (days * DAY)
                walls = [near + days * DAY * n for n in range(20)]
                schedule = Schedule(interval=days * 86_400, anchor=anchor, timezone=zone)

                assert ours(schedule, begin, end) == reached(zone, walls, begin, end), (zone, begin, anchor, days)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "UTC"])
def test_other_intervals_are_elapsed_time(zone: str) -> None:
    anchor = datetime(2010, 7, 1, 2, 30, tzinfo=UTC)
    for begin, end in windows(zone):
        for minutes in (7, 60, 90, 720, 1500, 2160):
            schedule = Schedule(interval=minutes * 60, anchor=anchor, timezone=zone)
            wanted = [minute for minute, _ in clock(zone, begin, end) if not (minute - anchor) % (minutes * MINUTE)]

            assert ours(schedule, begin, end) == wanted, (zone, begin, minutes)


@lru_cache
def walls_of_long_rules() -> dict[str, list[datetime]]:
    return {rule: list(takewhile(lambda wall: wall.year < 2021, rrulestr(rule))) for rule in LONG_RULES}


@pytest.mark.parametrize("zone", ZONES)
def test_rules_of_days_and_longer_name_wall_clock_times(zone: str) -> None:
    walls = walls_of_long_rules()
    for begin, end in windows(zone):
        for rule in LONG_RULES:
            low, high = begin.replace(tzinfo=None) - 4 * DAY, end.replace(tzinfo=None) + 4 * DAY
            wanted = reached(zone, [wall for wall in walls[rule] if low < wall < high], begin, end)

            assert ours(Schedule(rrule=rule, timezone=zone), begin, end) == wanted, (zone, begin, rule)


@pytest.mark.parametrize("zone", ZONES)
def test_rules_of_hours_and_shorter_go_by_elapsed_time(zone: str) -> None:
    info = ZoneInfo(zone)
    first = datetime(2010, 7, 1, 2, 0, tzinfo=info).astimezone(UTC)
    for begin, end in list(windows(zone))[-6:]:
        shown = clock(zone, begin, end)
        wanted = {
            "FREQ=HOURLY": [m for m, _ in shown if not (m - first) % HOUR],
            "FREQ=HOURLY;INTERVAL=5": [m for m, _ in shown if not (m - first) % (5 * HOUR)],
            "FREQ=HOURLY;BYMINUTE=15,45": [m for m, wall in shown if wall.minute in {15, 45}],
            "FREQ=HOURLY;BYHOUR=1,2,3": [m for m, wall in shown if not (m - first) % HOUR and wall.hour in {1, 2, 3}],
            "FREQ=MINUTELY;INTERVAL=7": [m for m, _ in shown if not (m - first) % (7 * MINUTE)],
            "FREQ=MINUTELY;BYHOUR=2": [m for m, wall in shown if wall.hour == 2],
            "FREQ=MINUTELY;INTERVAL=20;BYDAY=SU": [
                m for m, wall in shown if not (m - first) % (20 * MINUTE) and wall.weekday() == 6
            ],
            "FREQ=SECONDLY;BYHOUR=0,2;BYMINUTE=30;BYSECOND=0": [
                m for m, wall in shown if wall.minute == 30 and wall.hour in {0, 2}
            ],
        }
        for rule, minutes in wanted.items():
            schedule = Schedule(rrule=f"DTSTART:20100701T020000\nRRULE:{rule}", timezone=zone)

            assert ours(schedule, begin, end) == minutes, (zone, begin, rule)


@pytest.mark.parametrize("seed", range(200))
def test_a_random_rule_in_a_random_week_is_what_dateutil_finds_from_its_beginning(seed: int) -> None:
    random = Random(seed)
    rule = random_rule(random)
    begin = datetime(2012, 1, 1, tzinfo=UTC) + MINUTE * random.randrange(8 * 365 * 1440)
    end = begin + 7 * DAY
    zone = random.choice(ZONES)
    near = (begin.replace(tzinfo=None) - 4 * DAY, end.replace(tzinfo=None) + 4 * DAY)
    walls = [wall for wall in takewhile(lambda wall: wall < near[1], rrulestr(rule)) if wall > near[0]]

    assert ours(Schedule(rrule=rule, timezone=zone), begin, end) == reached(zone, walls, begin, end), (rule, zone)


def random_rule(random: Random) -> str:
    first = datetime(2010, 1, 1) + MINUTE * random.randrange(365 * 1440)  # noqa: DTZ001 - a wall clock
    freq = random.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    parts = [f"FREQ={freq}", f"INTERVAL={random.choice([1, 1, 2, 3])}"]
    if random.random() < 0.6:
        parts.append("BYDAY=" + ",".join(random.sample(["MO", "TU", "WE", "TH", "FR", "SA", "SU"], 3)))
    if random.random() < 0.3:
        parts.append("BYMONTH=" + ",".join(map(str, random.sample(range(1, 13), 5))))
    if random.random() < 0.3:
        parts.append("BYMONTHDAY=" + ",".join(map(str, random.sample([*range(1, 32), -1, -2], 12))))
    if random.random() < 0.4:
        parts.append("BYHOUR=" + ",".join(map(str, random.sample(range(24), 2))))
    if random.random() < 0.2:
        parts.append("COUNT=" + str(random.randrange(1, 900)))
    return f"DTSTART:{first:%Y%m%dT%H%M%S}\nRRULE:{';'.join(parts)}"
