"""A thousand histories of scheduler, dispatcher, workers and clients, troubled, healed and drained; see README.md."""

import subprocess
import sys
from pathlib import Path

import pytest

from .history import play

HISTORIES, AT_ONCE = 1000, 20
ROOT = Path(__file__).resolve().parents[2]


def said_seed(config: pytest.Config) -> int | None:
    return config.getoption("seed", None)


@pytest.mark.parametrize("first", range(1, HISTORIES + 1, AT_ONCE))
def test_a_history_ends_healed_and_drained(first: int, request: pytest.FixtureRequest):
    if said_seed(request.config) is not None:
        pytest.skip("one history was asked for")
    for seed in range(first, first + AT_ONCE):
        replay(seed)


def test_the_history_that_was_asked_for_ends_healed_and_drained(request: pytest.FixtureRequest):
    replay(said_seed(request.config) or 1)


def test_without_faults_a_history_drains_at_once():
    told = play(1, faults=False)
    assert told.faults == {}
    assert told.runs > 50
    assert told.seconds < 15


def replay(seed: int) -> None:
    try:
        told = play(seed)
    except AssertionError as error:
        pytest.fail(f"history {seed}: {error}\nplay it again: scripts/simulate --seed {seed} --verbose")
    assert told.executions > 10


def test_a_seed_is_one_history_in_any_process():
    here = play(3).history
    for hashes in ("1", "2"):
        command = [sys.executable, "-m", "tests.simulation", "--seed", "3"]
        told = subprocess.run(
            command, cwd=ROOT, env={"PYTHONHASHSEED": hashes}, capture_output=True, text=True, check=True, timeout=100
        )
        assert here[:12] in told.stdout
    assert play(3).history == here
    assert play(4).history != here
