"""Crons beside cronsim: every shift of ten years in ten zones, two days on either side, and 200 random weeks."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from random import Random
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from dispatcher.schedules import Schedule, upcoming
from tests.support.wallclocks import DAY, MINUTE, ZONES, clock, reached, shifts

CRONS = (
    "30 2 * * *",
    "0 2 * * *",
    "15,45 1-3 * * *",
    "0,30 0-23/2 * * *",
    "0 0 * * *",
    "1 0 * * *",
    "30 0 * * 1-5",
    "59 23 * * *",
    "30 1 * * 0",
    "0 3 1,15 * *",
    "5 4 29-31 3,10 6",
    "@daily",
)


# By elapsed time, and in words. cronsim steps by the hour here, which goes wrong where a clock is shifted by half an
# hour or at 00:01; watching the clock minute by minute does not.
ELAPSED = {
    "*/15 * * * *": lambda wall: wall.minute % 15 == 0,
    "30 * * * *": lambda wall: wall.minute == 30,
    "7 */2 * * *": lambda wall: wall.minute == 7 and wall.hour % 2 == 0,
    "*/20 1-3 * * *": lambda wall: wall.minute % 20 == 0 and wall.hour in {1, 2, 3},
    "0 * 28-31 * *": lambda wall: wall.minute == 0 and wall.day >= 28,
}


def ours(cron: str, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """Instants from `begin` until before `end`."""
    found = upcoming(Schedule(cron=cron, timezone=zone), begin - timedelta(seconds=1))
    return list(takewhile(lambda instant: instant < end, found))


def theirs(cron: str, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """The same by cronsim, which says an instant twice when it stands for two skipped times."""
    found = CronSim(cron.replace("@daily", "0 0 * * *"), (begin - timedelta(seconds=1)).astimezone(ZoneInfo(zone)))
    utc = (instant.astimezone(UTC) for instant in found)
    return list(dict.fromkeys(takewhile(lambda instant: instant < end, utc)))


def test_the_zones_have_shifts_of_many_kinds() -> None:
    many = {zone: len(shifts(zone)) for zone in ZONES}

    assert many["Europe/Berlin"] == 20
    assert many["Asia/Kolkata"] == many["UTC"] == 0
    assert sum(many.values()) > 130


@pytest.mark.fault(29)
@pytest.mark.parametrize("zone", ZONES)
def test_every_shift_of_ten_years_is_as_cronsim_has_it(zone: str) -> None:
    for shift in shifts(zone) or (datetime(2015, 2, 28, tzinfo=UTC),):
        begin, end = shift - 2 * DAY, shift + 2 * DAY
        for cron in CRONS:
            assert ours(cron, zone, begin, end) == theirs(cron, zone, begin, end), (cron, zone, shift)


@pytest.mark.parametrize("zone", ZONES)
def test_a_cron_by_elapsed_time_fires_whenever_the_clock_shows_its_time(zone: str) -> None:
    for shift in shifts(zone):
        begin, end = shift - 2 * DAY, shift + 2 * DAY
        minutes = clock(zone, begin, end)
        for cron, shows in ELAPSED.items():
            wanted = [minute for minute, wall in minutes if shows(wall)]
            assert ours(cron, zone, begin, end) == wanted, (cron, zone, shift)
            if zone not in {"America/St_Johns", "Australia/Lord_Howe"}:
                assert wanted == theirs(cron, zone, begin, end), (cron, zone, shift)


@pytest.mark.parametrize("zone", ZONES)
def test_a_cron_of_each_minute_fires_in_each_minute_about_a_shift(zone: str) -> None:
    for shift in shifts(zone)[-2:]:
        begin, end = shift - 2 * DAY, shift + 2 * DAY

        assert ours("* * * * *", zone, begin, end) == [minute for minute, _ in clock(zone, begin, end)]


@pytest.mark.parametrize("zone", ZONES)
def test_a_cron_with_seconds_names_the_same_wall_clock_times(zone: str) -> None:
    for shift in shifts(zone)[-4:]:
        begin, end = shift - 2 * DAY, shift + 2 * DAY
        midnight = begin.replace(tzinfo=None, hour=0, minute=0, second=0) - 2 * DAY
        walls = [midnight + DAY * day + MINUTE * minute for day in range(9) for minute in (0, 30, 90, 135, 150, 1439)]
        wanted = reached(zone, walls, begin, end)

        found = {
            instant
            for cron in ("0,30 0 * * * 0", "30 1 * * * 0", "15,30 2 * * * 0", "59 23 * * * 0")
            for instant in ours(cron, zone, begin, end)
        }

        assert sorted(found) == wanted, (zone, shift)


@pytest.mark.parametrize("zone", ZONES)
def test_the_next_instant_is_the_same_from_every_minute_about_a_shift(zone: str) -> None:
    for shift in shifts(zone)[-2:]:
        for cron in ("30 2 * * *", "0,30 0-3 * * *", "*/15 * * * *"):
            schedule = Schedule(cron=cron, timezone=zone)
            wanted = ours(cron, zone, shift - 2 * DAY, shift + 4 * DAY)
            for minute, _ in clock(zone, shift - 75 * MINUTE, shift + 75 * MINUTE):
                found = next(upcoming(schedule, minute))
                assert found == next(instant for instant in wanted if instant > minute), (cron, zone, minute)


def any_cron(random: Random) -> str:
    minute = random.choice(["*", "*/7", "*/30", "0", str(random.randrange(60)), "10-50/20", "5,35"])
    hour = random.choice(["*", "*/3", "2", str(random.randrange(24)), "0-6", "1-3", "22,23,0"])
    day, month, weekday = "*", random.choice(["*", "*", "*", "3,10", "2-11"]), "*"
    kind = random.randrange(4)
    if kind == 1:
        day = random.choice(["1", "15", "25-31", "*/2"])
    if kind == 2:
        weekday = random.choice(["0", "7", "1-5", "sat,sun", "2"])
    if kind == 3:
        day, weekday = random.choice(["13", "1-7"]), random.choice(["5", "mon"])
    return f"{minute} {hour} {day} {month} {weekday}"


@pytest.mark.parametrize("seed", range(200))
def test_a_random_week_is_as_cronsim_has_it(seed: int) -> None:
    random = Random(seed)
    zone, cron = random.choice(ZONES), any_cron(random)
    begin = datetime(2010, 1, 1, tzinfo=UTC) + MINUTE * random.randrange(20 * 366 * 1440)

    assert ours(cron, zone, begin, begin + 7 * DAY) == theirs(cron, zone, begin, begin + 7 * DAY), (cron, zone, begin)
