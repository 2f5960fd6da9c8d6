"""What fires: the misfire policies, jitter, and that no instant is lost or doubled whenever a scheduler looks."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dispatcher.schedules import Schedule, due, first, offset, plan, upcoming
from tests.support.wallclocks import DAY, MINUTE, ZONES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
TIMINGS = (
    {"cron": "*/7 * * * *"},
    {"cron": "0,30 0-6 * * *"},
    {"cron": "30 2 * * *"},
    {"cron": "5 3 * * 1 20,40"},
    {"interval": 600},
    {"interval": 86_400},
    {"interval": 3601.5},
    {"rrule": "FREQ=HOURLY;BYMINUTE=0,20"},
    {"rrule": "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30\nEXDATE:20260329T023000"},
    {"at": "2026-03-29T01:00:00Z"},
)


def ms(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)


def instants(schedule: Schedule, begin: datetime, end: datetime) -> list[int]:
    """Nominal instants from `begin` to `end`, both included."""
    found = upcoming(schedule, begin - timedelta(milliseconds=1))
    return [ms(instant) for instant in takewhile(lambda instant: instant <= end, found)]


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("late_s", "policy", "fires", "missed"),
    [
        (0, "skip", [0], 0),
        (60, "skip", [0, 1], 0),
        (61, "skip", [1], 1),
        (600, "skip", [9, 10], 9),
        (0, "latest", [0], 0),
        (60, "latest", [0, 1], 0),
        (61, "latest", [1], 1),
        (600, "latest", [10], 10),
        (60, "all", [0, 1], 0),
        (61, "all", [0, 1], 0),
        (600, "all", [4, 5, 6, 7, 8, 9, 10], 4),
    ],
)
def test_what_fires_after_downtime(late_s: int, policy: str, fires: list[int], missed: int) -> None:
    schedule = Schedule(cron="* * * * *", misfire=policy, window=370, most=6)
    begin = ms(NOON)

    said = plan(schedule, "etl", begin, begin + late_s * 1000)

    assert [(instant - begin) // 60_000 for instant in said.instants] == fires
    assert said.missed == missed
    assert said.next_ms == begin + (late_s // 60 + 1) * 60_000
    assert not said.more


def test_all_makes_good_no_more_than_most_of_them() -> None:
    schedule = Schedule(interval=60, misfire="all", most=3)

    said = plan(schedule, "etl", ms(NOON), ms(NOON) + 3_600_000)

    assert len(said.instants) == 3 + 2
    assert said.missed == 61 - 5


def test_an_instant_that_is_not_yet_due_is_waited_for() -> None:
    schedule = Schedule(cron="0 12 * * *")

    assert plan(schedule, "etl", ms(NOON), ms(NOON) - 1) == ((), ms(NOON), 0, False, False)


def test_a_schedule_that_is_over_has_no_next_instant() -> None:
    schedule = Schedule(at=NOON)

    assert plan(schedule, "etl", ms(NOON), ms(NOON)) == ((ms(NOON),), None, 0, False, False)


@pytest.mark.parametrize("timing", [{"cron": "* * * * * *", "timezone": "Europe/Berlin"}, {"interval": 1}])
@pytest.mark.parametrize("policy", ["skip", "latest", "all"])
def test_a_year_of_seconds_is_counted_and_not_walked(timing: dict, policy: str) -> None:
    schedule = Schedule(**timing, misfire=policy, most=150)
    now = begin = ms(NOON)
    now += 365 * 86_400_000
    fired, missed, at, more, calls = [], 0, begin, True, 0
    while more:
        said = plan(schedule, "etl", at, now)
        fired, missed, at, more, calls = (
            [*fired, *said.instants],
            missed + said.missed,
            said.next_ms,
            said.more,
            calls + 1,
        )

    assert len(fired) + missed == 365 * 86_400 + 1
    assert len(fired) == {"skip": 61, "latest": 1, "all": 150 + 61}[policy]
    assert at == now + 1000
    assert calls <= 3


@settings(deadline=None, max_examples=150)
@given(
    timing=some.sampled_from(TIMINGS),
    zone=some.sampled_from(ZONES),
    policy=some.sampled_from(["skip", "latest", "all"]),
    jitter=some.sampled_from([0, 0, 45, 900]),
    naps=some.lists(some.integers(0, 40_000_000), min_size=1, max_size=12),
)
def test_no_instant_is_lost_or_doubled(timing: dict, zone: str, policy: str, jitter: int, naps: list[int]) -> None:
    schedule = Schedule(**timing, timezone=zone, misfire=policy, jitter=jitter, window=7200, most=20)
    begin = NOON - DAY
    at, now = first(schedule, ms(begin)), ms(begin)
    fired, missed = [], 0
    for nap in naps:
        now += nap
        more = True
        while more and at is not None:
            said = plan(schedule, "etl", at, now)
            assert len(said.instants) <= 100
            assert said.next_ms is None or said.next_ms > at or not said.instants
            fired, missed, at, more = [*fired, *said.instants], missed + said.missed, said.next_ms, said.more

    over = [
        instant
        for instant in instants(schedule, begin, EPOCH + timedelta(milliseconds=now))
        if at is None or instant < at
    ]
    assert len(fired) + missed == len(over)
    assert fired == sorted(set(fired))
    assert set(fired) <= set(over)


@settings(deadline=None, max_examples=100)
@given(
    timing=some.sampled_from(TIMINGS),
    zone=some.sampled_from(ZONES),
    minutes=some.integers(0, 20 * 366 * 1440),
    length=some.integers(1, 4000),
)
def test_instants_ascend_and_counting_them_is_walking_them(timing: dict, zone: str, minutes: int, length: int) -> None:
    schedule = Schedule(**timing, timezone=zone, misfire="skip")
    after = datetime(2009, 1, 1, tzinfo=UTC) + minutes * MINUTE
    end = after + length * MINUTE
    found = instants(schedule, after, end)

    assert found == sorted(set(found))
    if found:
        missed = [instant for instant in found if instant < ms(end) - 60_000]
        assert plan(schedule, "etl", found[0], ms(end)).missed == len(missed)


def test_jitter_is_spread_evenly_and_always_the_same() -> None:
    schedule = Schedule(cron="* * * * *", jitter=10, id="nightly")
    drawn = [offset(schedule, "etl", NOON + MINUTE * n).total_seconds() for n in range(4000)]

    assert all(0 <= seconds <= 10 for seconds in drawn)
    assert drawn == [offset(schedule, "etl", NOON + MINUTE * n).total_seconds() for n in range(4000)]
    tenths = [sum(1 for seconds in drawn if part <= seconds < part + 1) for part in range(10)]
    assert all(300 < many < 500 for many in tenths), tenths
    assert offset(schedule, "other", NOON) != offset(schedule, "etl", NOON)
    assert due(schedule, "etl", NOON) == NOON + offset(schedule, "etl", NOON)
    assert offset(Schedule(cron="* * * * *"), "etl", NOON) == timedelta()


def test_jitter_makes_nothing_late() -> None:
    schedule = Schedule(cron="0 * * * *", jitter=1800, misfire="skip")
    at = ms(due(schedule, "etl", NOON))

    assert plan(schedule, "etl", ms(NOON), at - 1).instants == ()
    assert plan(schedule, "etl", ms(NOON), at).instants == (ms(NOON),)


@pytest.mark.parametrize(
    ("policy", "late_s", "fires"),
    [
        ("skip", 60, True),
        ("skip", 61, False),
        ("latest", 10**7, True),
        ("all", 3600, True),
        ("all", 3601, False),
    ],
)
def test_a_one_off_whose_instant_has_passed_goes_by_the_misfire_policy(policy: str, late_s: int, fires: bool) -> None:
    schedule = Schedule(at=NOON, misfire=policy, window=3600)
    now = ms(NOON) + late_s * 1000

    assert first(schedule, now) == (ms(NOON) if fires else None)
    assert first(schedule, now, fired_ms=ms(NOON)) is None
    if fires:
        assert plan(schedule, "etl", ms(NOON), now).instants == (ms(NOON),)


def test_a_new_schedule_waits_for_its_next_instant_now_included() -> None:
    schedule = Schedule(cron="0 12 * * *")

    assert first(schedule, ms(NOON)) == ms(NOON)
    assert first(schedule, ms(NOON) + 1) == ms(NOON + DAY)
    assert first(schedule, ms(NOON), fired_ms=ms(NOON)) == ms(NOON + DAY)
