"""What `ls` shows where something cannot be read: the rest, a row for it, what to do, and an exit code."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode
from tests.support.unreadable import ROOT, spoil_deployment, spoil_run

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
def connection(redis_url: str) -> "Iterator[redis.Redis]":
    with redis.Redis.from_url(redis_url) as connected:
        yield connected


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[list[str], str]]:
    """Lines on stdout and the text on stderr since it was asked last."""

    def read() -> tuple[list[str], str]:
        found = capsys.readouterr()
        return found.out.splitlines(), found.err

    read()
    return read


def test_a_list_of_runs_shows_the_rest_and_a_row_for_what_cannot_be_read(
    sluice: Sluice, connection: "redis.Redis", printed: Callable[[], tuple[list[str], str]]
) -> None:
    for _ in range(2):
        assert sluice("run", "publish", "f") == ExitCode.OK
    good, odd = printed()[0]
    spoil_run(connection, odd)
    assert sluice("run", "ls") == ExitCode.FAILED
    (_, first, second), said = printed()
    assert first.split()[:3] == [good, "queued", "f"]
    assert second.split()[:2] == [odd, "unreadable"]
    assert f"error: 1 run cannot be read: {odd}" in said
    assert "`sluice run cancel`" in said
    assert sluice("run", "ls", "-q") == ExitCode.FAILED
    assert printed()[0] == [good, odd]
    assert sluice("run", "ls", "-o", "json") == ExitCode.FAILED
    rows = json.loads("\n".join(printed()[0]))
    assert [row["id"] for row in rows] == [good, odd]
    assert "msgpack" in rows[1]["unreadable"]
    assert sluice("run", "inspect", odd) == ExitCode.USAGE
    assert f"the record of run {odd} cannot be read" in printed()[1]
    assert sluice("pool", "preview") == ExitCode.FAILED
    assert good in "".join(printed()[0])
    assert sluice("run", "cancel", odd, "--yes") == ExitCode.OK
    assert sluice("run", "ls", "--state", "queued") == ExitCode.OK


def test_a_list_of_dead_letters_does_too(
    sluice: Sluice, connection: "redis.Redis", printed: Callable[[], tuple[list[str], str]]
) -> None:
    for _ in range(2):
        assert sluice("run", "publish", "f") == ExitCode.OK
    good, odd = printed()[0]
    assert sluice("run", "cancel", good, odd, "--yes") == ExitCode.OK
    connection.zadd(f"{ROOT}:dead", {good: 2, odd: 1})
    spoil_run(connection, odd)
    printed()
    assert sluice("dead", "ls", "--runs", "-q") == ExitCode.FAILED
    assert printed()[0] == [good, odd]
    assert sluice("dead", "ls", "-q") == ExitCode.FAILED
    rows, said = printed()
    assert rows == [good]
    assert "`sluice dead purge RUN`" in said


def test_a_list_of_deployments_does_too_and_what_cannot_be_read_can_be_deleted(
    sluice: Sluice, connection: "redis.Redis", printed: Callable[[], tuple[list[str], str]]
) -> None:
    for name in ("good", "odd"):
        assert sluice("deployment", "create", name, "--function", "f", "--every", "1h") == ExitCode.OK
    spoil_deployment(connection, "odd")
    printed()
    assert sluice("deployment", "ls") == ExitCode.FAILED
    (_, first, second), said = printed()
    assert first.split()[0] == "good"
    assert second.split()[:2] == ["odd", "unreadable"]
    assert "`sluice deployment delete`" in said
    assert sluice("schedule", "ls", "-q") == ExitCode.FAILED
    assert len(printed()[0]) == 2
    assert sluice("deployment", "inspect", "odd") == ExitCode.USAGE
    assert sluice("deployment", "delete", "odd", "--yes") == ExitCode.OK
    printed()
    assert sluice("deployment", "ls", "-q") == ExitCode.OK
    assert printed()[0] == ["good"]
