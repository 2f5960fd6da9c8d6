"""Fixtures of the tests of entrypoints: commands as a user types them, in a folder with a pool of processes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dispatcher.cli import main


class Ended(NamedTuple):
    """How a command ended, and what it printed where."""

    code: int
    out: str
    err: str


Sluice = Callable[..., Ended]


@pytest.fixture
def sluice(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Sluice:
    """Run a command in this process; what it and its children print is seen. There is a pool `default` of processes."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words)
        return Ended(int(end.value.code or 0), *capfd.readouterr())

    assert run("pool", "create", "default", "--type", "process").code == 0
    return run


@pytest.fixture
def documents(sluice: Sluice) -> Callable[[], dict[str, Any]]:
    """The deployments that are there, by name."""

    def ask() -> dict[str, Any]:
        rows = json.loads(sluice("deployment", "ls", "-o", "json").out)
        return {row["document"]["name"]: row["document"] for row in rows}

    return ask
