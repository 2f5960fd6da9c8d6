"""The simulation can fail: each fault that is put into what it simulates is found within a few histories."""

import pytest

from .history import play
from .mutants import MUTANTS, TROUBLES, at_work

WITHIN = 60


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found(name: str):
    with at_work(name):
        for seed in range(1, WITHIN + 1):
            try:
                play(seed, only=TROUBLES.get(name, ()))
            except AssertionError:
                return
    pytest.fail(f"nothing is found in {WITHIN} histories: {name}")
