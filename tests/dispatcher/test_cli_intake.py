"""`sluice intake` and `sluice run schema`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode
from tests.support.publishing import ROOT, STREAM, Publisher

Sluice = Callable[..., int]


@pytest.fixture
def sluice(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sluice:
    """Run a command in this process, with a pool `default`; its exit code."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(end.value.code or 0)

    assert run("pool", "create", "default") == 0
    return run


@pytest.fixture
def publisher(redis_url: str) -> Iterator[Publisher]:
    made = Publisher(redis_url)
    yield made
    made.close()


def reject(publisher: Publisher, **fields: object) -> str:
    """A rejected entry as intake writes it."""
    entry = {"stream": "publish", "entry": "1-0", "reason": "it is no JSON", "size": 2, "format": "run", "reply": ""}
    return publisher.redis.xadd(f"{ROOT}:rejected", {**entry, "head": "{}", **fields}).decode()


def test_rejected_entries_are_listed(sluice: Sluice, publisher: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [reject(publisher), reject(publisher, head=b"\xff\x1b[31m", reply="me")]
    capsys.readouterr()
    assert sluice("intake", "rejected", "ls") == 0
    table = capsys.readouterr().out
    assert all(word in table for word in (*ids, "ENTRY", "STREAM", "publish", "it is no JSON"))
    assert sluice("intake", "rejected", "ls", "-o", "wide") == 0
    wide = capsys.readouterr().out
    assert "HEAD" in wide
    assert "\x1b" not in wide
    assert sluice("intake", "rejected", "ls", "-o", "json", "--limit", "1") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["reason"], row["head"], row["size"]) == (ids[0], "it is no JSON", "{}", 2)
    assert sluice("intake", "rejected", "ls", "-q") == 0
    assert capsys.readouterr().out.split() == ids


def test_rejected_entries_are_retried(sluice: Sluice, publisher: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    first, cut, odd = reject(publisher), reject(publisher, size=9999), reject(publisher, format="")
    reject(publisher)
    assert sluice("intake", "rejected", "retry", first) == ExitCode.OK
    assert f"entry {first} goes back to its stream" in capsys.readouterr().err
    assert sluice("intake", "rejected", "retry", first) == ExitCode.NOT_FOUND
    assert "is not there" in capsys.readouterr().err
    assert sluice("intake", "rejected", "retry", "--all") == ExitCode.CONFLICT
    said = capsys.readouterr().err
    assert f"entry {cut} cannot be retried: only its first 4 KB were kept" in said
    assert f"entry {odd} cannot be retried: it is no run" in said
    assert "1 of 3 retried" in said
    assert publisher.unread() == 2


@pytest.mark.parametrize("words", [(), ("5-5", "--all"), ("five",)])
def test_what_is_to_be_retried_must_be_said(sluice: Sluice, words: tuple[str, ...]) -> None:
    assert sluice("intake", "rejected", "retry", *words) == ExitCode.USAGE


def test_publishers_come_and_go(sluice: Sluice, publisher: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    assert sluice("intake", "publishers", "add", "web") == 0
    assert f"{STREAM}:web is read from now on" in capsys.readouterr().err
    assert sluice("intake", "publishers", "ls", "-q") == 0
    assert capsys.readouterr().out == "web\n"
    publisher.add({"function": "f"}, to=f"{STREAM}:web")
    assert sluice("intake", "publishers", "rm", "web") == ExitCode.CONFLICT
    assert "1 unread entries" in capsys.readouterr().err
    publisher.redis.delete(f"{STREAM}:web")
    assert sluice("intake", "publishers", "rm", "web") == 0
    assert sluice("intake", "publishers", "rm", "web") == ExitCode.NOT_FOUND
    assert sluice("intake", "publishers", "add", "a b") == ExitCode.USAGE
    assert sluice("intake", "publishers", "ls", "--pool", "nowhere") == ExitCode.NOT_FOUND


def test_the_schema_is_printed(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert sluice("run", "schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "function" in schema["properties"]
