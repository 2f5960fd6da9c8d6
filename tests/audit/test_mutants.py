"""Faults put into the Lua that leave something wrong behind: the audit finds them without the model's help."""

import contextlib

import pytest
from redis.exceptions import ResponseError

from tests.audit.audited import Found
from tests.model.history import CARE, CHURN, EARLY, ORPHANS, PARKED, SMALL, WAITING, History
from tests.model.mutants import MUTANTS
from tests.model.state import Violation

SHAPES = (SMALL, PARKED, CARE, CHURN, WAITING, EARLY, ORPHANS)
SEEDS, STEPS = 42, 80
EXPECTED = {
    "pool limit off by one": "over_limit",
    "queue limit ignored": "over_limit",
    "key limit off by one": "over_limit",
    "queue slot not released": "leaked",
    "retry keeps its slot": "leaked",
    "suspended runs keep their slots": "leaked",
    "only the first class woken": "unwoken",
    "no rule W": "unwoken",
    "an id published twice": "ghost",
    "resumed runs take no slot": "unslotted",
    "orphans give their slots back": "unbalanced",
}


def found(new_audited, name: str) -> set[str]:
    """What the audit says by the time that the model notices, in the first history in which it says anything."""
    (mutant,) = (one for one in MUTANTS if one.name == name)
    for seed in range(SEEDS):
        pair = new_audited(mutant.scripts())
        try:
            History(pair, seed, SHAPES[seed % len(SHAPES)]).run(STEPS)
        except Found as said:
            return {violation.what for violation in said.violations}
        except (Violation, ResponseError):
            with contextlib.suppress(ResponseError):
                if said := pair.look.fold() + pair.look.verify():
                    return {violation.what for violation in said}
    return set()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_audit_finds(new_audited, name: str) -> None:
    assert EXPECTED[name] in found(new_audited, name)
