"""The command line: quick help, one line for each error, exit codes, what is printed where."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode
from tests.support.servers import Server

Sluice = Callable[..., int]
PROGRAM = "from dispatcher.cli import main; main()"
CPU_BUDGET = 0.15


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


def child(*arguments: str) -> tuple[str, float]:
    """Run Python; its output and the CPU time it took."""
    before = os.times()
    done = subprocess.run([sys.executable, "-P", *arguments], capture_output=True, text=True, check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, spent


def test_help_is_quick_and_names_every_command() -> None:
    outputs, times = zip(*(child("-c", PROGRAM, "--help") for _ in range(5)), strict=True)
    for name in ("up", "status", "run", "pool", "queue", "limit", "worker", "scheduler", "dispatcher", "version"):
        assert f"\n  {name} " in outputs[0]
    assert min(times) <= CPU_BUDGET


def test_the_command_line_imports_neither_services_nor_parsers() -> None:
    heavy = {"workers", "scheduler", "redis", "pydantic", "cyclopts", "rich", "anyio"}
    output, _ = child("-c", "import dispatcher, dispatcher.cli, sys; print(*sys.modules)")
    assert not heavy & set(output.split())


def test_no_arguments_is_a_usage_error(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice() == ExitCode.USAGE
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pol"], 'Did you mean "pool"?'),
        (["pool", "lss"], 'Did you mean "ls"?'),
        (["pool", "ls", "--outputs", "json"], "--output"),
        (["pool", "ls", "-o", "yaml"], "yaml"),
        (["pool", "create"], "NAME"),
        (["pool", "create", "a b"], "is no pool name"),
        (["pool", "create", "p", "--limit", "-1"], "is no limit"),
        (["pool", "create", "p", "--limit", "many"], "is no limit"),
        (["pool", "create", "p", "--retention", "soon"], "is no duration"),
        (["run", "publish", "f", "--param", "x"], "--param name=value"),
        (["run", "publish", "f", "--params-json", "[1]"], "must be a JSON object"),
        (["run", "publish", "f", "--params-json", "{"], "is no JSON"),
        (["run", "publish", "f", "--params-json", "[" * 100_000], "is no JSON"),
        (["run", "publish", "f", "--at", "2030-01-01T00:00:00"], "has no time zone"),
        (["run", "publish", "f", "--in", "5 parsecs"], "is no duration"),
        (["run", "publish", "f", "--key", "loose"], "is no concurrency key"),
        (["run", "publish", "f", "--param", f"x={'y' * 600_000}"], "are allowed"),
        (["run", "ls", "--state", "lost"], "lost"),
        (["dispatcher", "start", "--health", "nowhere"], "HOST:PORT"),
    ],
)
def test_a_bad_word_is_a_usage_error_of_one_line(
    sluice: Sluice, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert sluice("pool", "create", "default") == ExitCode.OK
    capsys.readouterr()
    assert sluice(*words) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert len([line for line in err.splitlines() if not line.startswith("hint: ")]) == 1
    assert sluice("run", "ls", "-q") == ExitCode.OK
    assert capsys.readouterr().out == ""


def test_what_is_missing_and_what_is_there_have_codes_of_their_own(
    sluice: Sluice, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["pool", "inspect", "p"], ["queue", "ls"], ["run", "ls"], ["worker", "ls"], ["run", "publish", "f"]):
        assert sluice(*words) == ExitCode.NOT_FOUND
    assert sluice("pool", "create", "default") == ExitCode.OK
    assert sluice("run", "inspect", "0" * 32) == ExitCode.NOT_FOUND
    assert sluice("pool", "create", "default") == ExitCode.CONFLICT
    assert "sluice pool update" in capsys.readouterr().err
    assert sluice("pool", "create", "default", "--if-missing") == ExitCode.OK


def test_a_server_that_is_away_unfit_or_strange_has_a_code_of_its_own(
    sluice: Sluice,
    monkeypatch: pytest.MonkeyPatch,
    new_server: Callable[..., Server],
    capsys: pytest.CaptureFixture[str],
) -> None:
    guarded = new_server(settings={"requirepass": "secret"})
    forgetful = new_server(settings={"maxmemory-policy": "allkeys-lru"})
    for url, code in (
        ("redis://127.0.0.1:1/0", ExitCode.UNREACHABLE),
        (guarded.url, ExitCode.REFUSED),
        (guarded.url.replace("//", "//:wrong-word@"), ExitCode.REFUSED),
        (forgetful.url, ExitCode.CONFLICT),
        ("http://somewhere", ExitCode.USAGE),
    ):
        monkeypatch.setenv("SLUICE_REDIS_URL", url)
        assert sluice("status") == code
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert "wrong-word" not in err


def test_debug_shows_the_traceback(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("pool", "inspect", "p", "--debug") == ExitCode.NOT_FOUND
    assert "Traceback" in capsys.readouterr().err


def test_a_pool_from_its_making_to_its_end(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        sluice("pool", "create", "p", "--limit", "3", "--description", "for tests", "--retention", "2h") == ExitCode.OK
    )
    assert sluice("pool", "update", "p", "--limit", "none", "--crashes", "5") == ExitCode.OK
    assert sluice("pool", "pause", "p") == ExitCode.OK
    capsys.readouterr()
    assert sluice("pool", "inspect", "p", "-o", "json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["limit"], found["paused"], found["crash_budget"]) == ("p", None, True, 5)
    assert (found["description"], found["retention_ms"]) == ("for tests", 7_200_000)
    assert sluice("pool", "resume", "p") == ExitCode.OK
    assert sluice("pool", "ls", "-o", "wide") == ExitCode.OK
    assert "for tests" in capsys.readouterr().out
    assert sluice("pool", "delete", "p", "--yes") == ExitCode.OK
    assert sluice("pool", "inspect", "p") == ExitCode.NOT_FOUND


def test_deleting_asks_and_says_what_it_would_do(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    sluice("pool", "create", "default")
    sluice("run", "publish", "f", "--queue", "q")
    assert sluice("pool", "delete", "default") == ExitCode.USAGE
    assert "--yes" in capsys.readouterr().err
    assert sluice("pool", "delete", "default", "--dry-run") == ExitCode.OK
    assert "would delete work pool default (1 queued" in capsys.readouterr().err
    assert sluice("pool", "delete", "default", "--yes") == ExitCode.CONFLICT
    assert sluice("queue", "delete", "q", "--yes") == ExitCode.CONFLICT
    assert sluice("queue", "delete", "q", "--yes", "--runs", "cancel") == ExitCode.OK
    sluice("run", "publish", "f", "--in", "1h")
    assert sluice("pool", "delete", "default", "--yes", "--runs", "cancel") == ExitCode.OK


def test_queues_and_limits(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    sluice("pool", "create", "default")
    assert sluice("queue", "create", "urgent", "--priority", "7", "--limit", "2") == ExitCode.OK
    assert sluice("queue", "update", "urgent", "--priority", "2", "--limit", "none") == ExitCode.OK
    assert sluice("queue", "pause", "urgent") == ExitCode.OK
    capsys.readouterr()
    assert sluice("queue", "inspect", "urgent", "-o", "jsonl") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["priority"], found["limit"], found["paused"]) == (2, None, True)
    assert sluice("queue", "resume", "urgent") == ExitCode.OK
    assert sluice("queue", "delete", "default", "--yes") == ExitCode.USAGE
    assert sluice("limit", "set", "tenant:*", "2") == ExitCode.OK
    assert sluice("limit", "set", "tenant:7", "1") == ExitCode.OK
    assert sluice("limit", "clear", "tenant:7") == ExitCode.OK
    capsys.readouterr()
    assert sluice("limit", "ls") == ExitCode.OK
    assert capsys.readouterr().out.split() == ["KEY", "LIMIT", "RUNNING", "WHEN", "FULL", "tenant:*", "2", "-", "wait"]


def test_publishing_says_all_that_the_client_can(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    sluice("pool", "create", "default")
    capsys.readouterr()
    words = (
        'run publish f --param a=1 --param b=text --params-json {"c":[1]} --queue q --label gpu --label zone=a '
        "--key tenant:7 --in 1h --expires 2h --retries 3 --timeout 90s --name daily --tag x --idempotency-key once"
    )  # fmt: skip
    assert sluice(*words.split()) == ExitCode.OK
    run = capsys.readouterr().out.strip()
    assert sluice(*words.split()) == ExitCode.OK
    assert capsys.readouterr().out.strip() == run
    assert sluice("run", "inspect", run, "-o", "json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["spec"]["parameters"] == {"c": [1], "a": 1, "b": "text"}
    assert (found["queue"], found["labels"], found["keys"]) == ("q", ["gpu", "zone=a"], ["tenant:7"])
    assert (found["state"], found["spec"]["timeout"], found["spec"]["retry"]["retries"]) == ("scheduled", 90, 3)
    assert (found["spec"]["name"], found["spec"]["tags"]) == ("daily", ["x"])


def test_lists_come_as_table_json_lines_and_names(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    sluice("pool", "create", "default")
    capsys.readouterr()
    sluice("run", "publish", "first")
    sluice("run", "publish", "bad\x1b[31m")
    ids = capsys.readouterr().out.split()
    assert sluice("run", "ls") == ExitCode.OK
    table = capsys.readouterr().out
    assert table.splitlines()[0].split()[:4] == ["RUN", "STATE", "DOES", "QUEUE"]
    assert "\x1b" not in table
    for words in (["-q"], ["-o", "name"]):
        assert sluice("run", "ls", *words) == ExitCode.OK
        assert capsys.readouterr().out.split() == ids
    assert sluice("run", "ls", "-o", "jsonl") == ExitCode.OK
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ids
    assert sluice("run", "ls", "-o", "json", "--state", "completed") == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == []


def test_cancelling_says_what_became_of_each(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    sluice("pool", "create", "default")
    capsys.readouterr()
    sluice("run", "publish", "f")
    run = capsys.readouterr().out.strip()
    assert sluice("run", "cancel", run) == ExitCode.USAGE
    assert sluice("run", "cancel", run, "--yes") == ExitCode.OK
    assert "is cancelled" in capsys.readouterr().err
    assert sluice("run", "cancel", run, "--yes") == ExitCode.CONFLICT
    assert sluice("run", "cancel", "0" * 32, "--yes") == ExitCode.NOT_FOUND
    assert sluice("run", "watch", run) == ExitCode.RUN_CANCELLED


def test_status_shows_the_pools(sluice: Sluice, capsys: pytest.CaptureFixture[str], redis_url: str) -> None:
    sluice("pool", "create", "p", "--limit", "4")
    capsys.readouterr()
    assert sluice("status") == ExitCode.OK
    out, err = capsys.readouterr()
    assert "0/4" in out
    assert redis_url in err
    assert sluice("status", "-o", "json") == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert [pool["name"] for pool in found["pools"]] == ["p"]
    assert found["server"] == redis_url
