"""`sluice run logs`, and the log while a run is watched."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dispatcher import BlockingClient, LogLine, Published
from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode
from dispatcher.cli.logs import shown
from dispatcher.store import LogChunk
from tests.support.processes import Children
from tests.support.waiting import wait_until_sync
from workers.log_lines import ClaimLog

Sluice = Callable[..., int]
NOW_MS = 1_700_000_000_123


@pytest.fixture
def sluice(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sluice:
    """Run a command in this process; its exit code."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(end.value.code or 0)

    return run


@pytest.fixture
def client(redis_url: str) -> Iterator[BlockingClient]:
    with BlockingClient(redis_url) as client:
        client.pools.create("default")
        yield client


class Log:
    """Writes lines of one run, now."""

    def __init__(self, client: BlockingClient, run: Published) -> None:
        self._client, self._run, self._sequence = client, run, 0

    def write(self, *lines: tuple[str, str], at: int = NOW_MS, cut: int = 0) -> None:
        self._sequence += 1
        log = ClaimLog(self._run.id, "1")
        if cut:
            log.cut(cut)
        for level, text in lines:
            log.add((at, level, text), len(text.encode()))
        chunks: list[LogChunk] = [log.as_sent(self._sequence)]
        store = self._client.client._store
        assert self._client.run(lambda: store.logs.write("default", chunks)) == ["ok"]


@pytest.fixture
def run(client: BlockingClient) -> Published:
    return client.publish("f")


@pytest.fixture
def log(client: BlockingClient, run: Published) -> Log:
    return Log(client, run)


def test_a_log_is_printed_with_time_level_and_text(sluice: Sluice, run, log: Log, capsys) -> None:
    log.write(("info", "begin"), ("error", "no ink"))
    log.write(("info", "on it goes"), cut=123_456)
    assert sluice("run", "logs", run.id) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == [
        "2023-11-14T22:13:20.123Z  info     begin",
        "2023-11-14T22:13:20.123Z  error    no ink",
        "2023-11-14T22:13:20.123Z  cut      ... 123,456 lines cut",
        "2023-11-14T22:13:20.123Z  info     on it goes",
    ]


def test_nothing_in_a_log_drives_a_terminal(sluice: Sluice, run, log: Log, capsys) -> None:
    log.write(("info", "\x1b[1;31mred\x1b[0m\tand \x1b]0;title\x07\r\x9b2J\u202e"))
    assert sluice("run", "logs", run.id, "-q") == ExitCode.OK
    assert capsys.readouterr().out == "red\tand \\x1b]0;title\\x07\\r\\x9b2J\\u202e\n"
    assert shown(LogLine(datetime.now(UTC), "info", "\x1b[32mgreen\x1b[m")).endswith("  info     green")


def test_a_log_for_programs(sluice: Sluice, run, log: Log, capsys) -> None:
    log.write(("info", "ä\x1b[1m"), cut=2)
    rows = [
        {"at": "2023-11-14T22:13:20.123+00:00", "level": "cut", "text": "... 2 lines cut", "cut": 2},
        {"at": "2023-11-14T22:13:20.123+00:00", "level": "info", "text": "ä\x1b[1m", "cut": 0},
    ]
    assert sluice("run", "logs", run.id, "-o", "json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == rows
    assert sluice("run", "logs", run.id, "-o", "jsonl") == ExitCode.OK
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-n", "1"], ["new"]),
        (["--lines", "0"], []),
        (["--level", "warning"], ["old", "bad"]),
        (["--level", "error", "-n", "5"], ["bad"]),
        (["--since", "1h"], ["bad", "new"]),
        (["--since", "9999999999999h"], ["old", "bad", "new"]),
        (["--since", "2024-01-01T00:00:00Z"], ["bad", "new"]),
    ],
)
def test_only_what_is_asked_for_is_printed(sluice: Sluice, run, log: Log, capsys, options, expected) -> None:
    now = int(time.time() * 1000)
    log.write(("warning", "old"))
    log.write(("error", "bad"), ("debug", "new"), at=now)
    assert sluice("run", "logs", run.id, "-q", *options) == ExitCode.OK
    assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["0123456789abcdef0123"], ExitCode.NOT_FOUND, "0123456789abcdef0123"),
        (["RUN", "-n", "-1"], ExitCode.USAGE, "-1 is no number of lines"),
        (["RUN", "-n", "few"], ExitCode.USAGE, "few"),
        (["RUN", "--level", "loud"], ExitCode.USAGE, "loud"),
        (["RUN", "--since", "soon"], ExitCode.USAGE, "is no duration"),
        (["RUN", "-f", "-o", "json"], ExitCode.USAGE, "take -o jsonl"),
        ([], ExitCode.USAGE, "RUN"),
    ],
)
def test_what_cannot_be_shown_is_an_error(sluice: Sluice, run, capsys, options, code, said) -> None:
    assert sluice("run", "logs", *(run.id if word == "RUN" else word for word in options)) == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


class Watched:
    """A command that waits for a run, in a process of its own."""

    def __init__(self, children: Children, url: str, *words: str) -> None:
        program = "from dispatcher.cli import main; main()"
        self.child = children.start(
            sys.executable, "-P", "-c", program, "run", *words, env={"SLUICE_REDIS_URL": url, "NO_COLOR": "1"}
        )

    def has(self, text: str) -> None:
        wait_until_sync(lambda: text in self.child.text(), description=f"it says {text!r}", timeout=30)


def test_following_prints_lines_as_they_come_and_exits_by_the_end(
    client: BlockingClient, run, log: Log, redis_url: str, children: Children
) -> None:
    log.write(("info", "before"), ("info", "just before"))
    following = Watched(children, redis_url, "logs", "-f", "-n", "1", run.id)
    following.has("just before")
    log.write(("info", "meanwhile"))
    following.has("meanwhile")
    assert following.child.exit_code is None
    log.write(cut=7)
    client.cancel(run)
    assert following.child.wait(30) == ExitCode.RUN_CANCELLED
    said = following.child.text()
    assert "before" not in said.replace("just before", "")
    assert said.rstrip().endswith("... 7 lines cut")


def test_watching_shows_the_log_to_its_end(
    client: BlockingClient, run, log: Log, redis_url: str, children: Children
) -> None:
    watching = Watched(children, redis_url, "watch", run.id)
    watching.has("queued")
    log.write(("warning", "meanwhile"))
    watching.has("warning  meanwhile")
    log.write(("info", "the last word"))
    client.cancel(run)
    assert watching.child.wait(30) == ExitCode.RUN_CANCELLED
    lines = watching.child.text().splitlines()
    assert lines[-3].endswith("info     the last word")
    assert lines[-2] == "cancelled (asked)"


def test_watching_has_an_end_before_the_log_has(sluice: Sluice, run, log: Log, capsys) -> None:
    log.write(("info", "begin"))
    began = time.monotonic()
    assert sluice("run", "watch", run.id, "--timeout", "300ms") == ExitCode.TIMEOUT
    assert time.monotonic() - began < 10
    assert "info     begin" in capsys.readouterr().err


def test_publishing_and_watching_shows_the_log(
    sluice: Sluice, client: BlockingClient, capsys: pytest.CaptureFixture[str]
) -> None:
    def play_worker() -> None:
        def queued() -> Published | None:
            found = client.list(states=["queued"])
            return Published(found[0].id, "default", True) if found else None

        published = wait_until_sync(queued, description="it is published")
        assert published
        Log(client, published).write(("info", "at work"))
        client.cancel(published)

    thread = threading.Thread(target=play_worker)
    thread.start()
    try:
        assert sluice("run", "publish", "f", "--watch") == ExitCode.RUN_CANCELLED
    finally:
        thread.join()
    assert "info     at work" in capsys.readouterr().err
