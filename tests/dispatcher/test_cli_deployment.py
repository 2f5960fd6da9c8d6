"""`sluice deployment`, `sluice schedule` and `sluice pool preview`, as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode

Sluice = Callable[..., int]


@pytest.fixture
def sluice(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sluice:
    """Run a command in this process; its exit code. There is a pool `default`."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(end.value.code or 0)

    assert run("pool", "create", "default") == ExitCode.OK
    return run


@pytest.fixture
def answer(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command that succeeds; what it prints, JSON where it is asked for."""

    def ask(*words: str) -> Any:
        capsys.readouterr()
        assert sluice(*words) == ExitCode.OK
        out = capsys.readouterr().out
        return json.loads(out) if "json" in words else out

    return ask


def test_a_deployment_from_creation_to_deletion(sluice: Sluice, answer: Callable[..., Any]) -> None:
    words = [
        "--function",
        "add",
        "--param",
        "a=1",
        "--cron",
        "0 9 * * *",
        "--timezone",
        "Europe/Berlin",
        "--limit",
        "1",
    ]
    assert sluice("deployment", "create", "etl", *words, "--when-full", "skip", "--tag", "x") == ExitCode.OK
    assert sluice("deployment", "create", "etl", *words) == ExitCode.CONFLICT
    (row,) = answer("deployment", "ls", "-o", "json")
    assert row["version"] == 1
    assert row["document"]["concurrency"] == {"limit": 1, "when_full": "skip"}
    assert "0 9 * * *" in answer("deployment", "inspect", "etl")
    run = answer("deployment", "run", "etl", "--param", "b=2", "--in", "5m").strip()
    (found,) = answer("run", "ls", "-o", "json")
    assert (found["id"], found["state"], found["spec"]["parameters"]) == (run, "scheduled", {"a": 1, "b": 2})
    assert sluice("deployment", "update", "etl", "--limit", "none", "--every", "30m") == ExitCode.OK
    document = answer("deployment", "inspect", "etl", "-o", "json")["document"]
    assert "concurrency" not in document
    assert [schedule["interval"] for schedule in document["schedules"]] == [1800]
    assert sluice("deployment", "pause", "etl") == ExitCode.OK
    assert "paused" in answer("deployment", "ls")
    assert sluice("deployment", "resume", "etl") == ExitCode.OK
    assert sluice("deployment", "delete", "etl") == ExitCode.USAGE
    assert sluice("deployment", "delete", "etl", "--yes") == ExitCode.OK
    assert sluice("deployment", "inspect", "etl") == ExitCode.NOT_FOUND


def test_a_deployment_moves_to_another_pool(sluice: Sluice, answer: Callable[..., Any]) -> None:
    sluice("pool", "create", "debug")
    sluice("deployment", "create", "etl", "--function", "f", "--every", "1h")
    before = answer("schedule", "ls", "-o", "json")[0]["next_at"]
    assert sluice("deployment", "update", "etl", "--pool", "debug") == ExitCode.OK
    assert answer("deployment", "ls", "-q", "--pool", "debug") == "etl\n"
    assert answer("deployment", "ls", "-q", "--pool", "default") == ""
    assert answer("schedule", "ls", "-o", "json")[0]["next_at"] == before


def test_schedules_are_seen_paused_triggered_and_backfilled(sluice: Sluice, answer: Callable[..., Any]) -> None:
    sluice("deployment", "create", "etl", "--function", "f", "--cron", "0 9 * * *", "--timezone", "Europe/Berlin")
    (row,) = answer("schedule", "ls", "-o", "json")
    name = row["name"]
    assert row["state"] == "ready"
    assert "Europe/Berlin" in row["due"]
    instants = answer("schedule", "preview", "etl", "--after", "2026-03-27T12:00:00Z", "--count", "3").split()
    assert instants == ["2026-03-28T09:00:00+01:00", "2026-03-29T09:00:00+02:00", "2026-03-30T09:00:00+02:00"]
    assert sluice("schedule", "pause", name) == ExitCode.OK
    assert answer("schedule", "ls", "-o", "json")[0]["state"] == "paused"
    assert sluice("schedule", "resume", "etl") == ExitCode.OK
    run = answer("schedule", "trigger", "etl").strip()
    assert answer("run", "inspect", run, "-o", "json")["spec"]["schedule"] == row["name"].partition("/")[2]
    words = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-10T00:00:00Z"]
    assert sluice("schedule", "backfill", "etl", *words) == ExitCode.USAGE
    assert sluice("schedule", "backfill", "etl", *words, "--yes") == ExitCode.OK
    assert sluice("schedule", "backfill", "etl", *words, "--yes") == ExitCode.OK
    assert len(answer("run", "ls", "-o", "json")) == 10
    assert sluice("schedule", "pause", "etl/nope") == ExitCode.NOT_FOUND


def test_a_pool_says_what_it_will_start(sluice: Sluice, answer: Callable[..., Any]) -> None:
    sluice("deployment", "create", "etl", "--function", "f", "--every", "30m")
    sluice("run", "publish", "f")
    sluice("run", "publish", "f", "--in", "10m")
    sluice("run", "publish", "f", "--in", "9h")
    rows = answer("pool", "preview", "default", "--hours", "2", "-o", "json")
    assert [row["late"] for row in rows] == [True] + [False] * 5
    assert sum(row["deployment"] == "etl" for row in rows) == 4
    assert [row["due"] for row in rows] == sorted(row["due"] for row in rows)
    assert "late" in answer("pool", "preview")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cron", "61 * * * *"], "/schedules/0"),
        (["--cron", "0 9 * * *", "--timezone", "Mars/Base"], "Mars/Base"),
        (["--rrule", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"], "/schedules/0"),
        (["--at", "2026-01-01"], "time zone"),
        (["--entrypoint", "a.py:f"], "one of function, command, entrypoint"),
        (["--key", "tenant:{{ tenant }}"], "/keys/0"),
        (["--when-full", "skip"], "--limit"),
        (["--limit", "1", "--when-full", "drop"], "when_full"),
        (["--timezone", "UTC"], "--cron"),
        (["--cache-key", "x"], "--cache-for"),
        (["--queue", "a b"], "/queue"),
        (["--label", "a b"], "/labels"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_there(
    sluice: Sluice, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert sluice("deployment", "create", "etl", "--function", "f", *words) == ExitCode.USAGE
    assert said in capsys.readouterr().err
    assert answer("deployment", "ls", "-q") == ""


def test_a_pool_with_deployments_is_not_deleted(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    sluice("pool", "create", "etl")
    sluice("deployment", "create", "x", "--function", "f", "--pool", "etl")
    assert sluice("pool", "delete", "etl", "--yes") == ExitCode.CONFLICT
    assert "1 deployments" in capsys.readouterr().err
    sluice("deployment", "delete", "x", "--yes")
    assert sluice("pool", "delete", "etl", "--yes") == ExitCode.OK
