"""The audit over random histories: it finds nothing in the engine as it is, and what mutants break."""

import pytest

from tests.model.history import CARE, CHURN, EARLY, ORPHANS, PARKED, SMALL, WAITING, WIDE, History

SHAPES = {
    "small": SMALL, "parked": PARKED, "care": CARE, "churn": CHURN, "waiting": WAITING, "early": EARLY,
    "orphans": ORPHANS, "wide": WIDE,
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_found_in_the_engine_as_it_is(new_audited, shape: str) -> None:
    for seed in range(3):
        History(new_audited(), 1_000 + seed, SHAPES[shape]).run(100)
