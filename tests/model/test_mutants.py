"""Each fault put into the Lua is noticed by the model, with fixed seeds, within a bounded number of calls."""

import pytest
import redis
from redis.exceptions import ResponseError

from dispatcher.scripts import names

from .history import CARE, CHURN, EARLY, ORPHANS, PARKED, SMALL, WAITING, History
from .mutants import MUTANTS, Mutant
from .state import Violation

SHAPES = (SMALL, PARKED, CARE, CHURN, WAITING, EARLY, ORPHANS)
SEEDS = 120
STEPS = 150


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_model_catches(mutant: Mutant, new_pair, client: "redis.Redis"):
    for name in names():
        client.script_load(mutant.scripts()(name).text)  # it is Lua still
    for seed in range(SEEDS):
        pair = new_pair(mutant.scripts())
        try:
            History(pair, seed, SHAPES[seed % len(SHAPES)]).run(STEPS)
        except (Violation, ResponseError):
            return
    pytest.fail(f"{mutant.name} passed {SEEDS} histories of {STEPS} steps")


def test_the_scripts_as_they_are_pass(new_pair):
    for seed in range(12):
        History(new_pair(), seed, SHAPES[seed % len(SHAPES)]).run(STEPS)
