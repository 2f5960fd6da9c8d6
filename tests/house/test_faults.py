"""The catalogue of faults: each has a test with its number as a mark, or says why not; the page is made from them."""

from scripts import reliability_page
from scripts.faults import FAULTS, OPEN

SHOWN = reliability_page.marked()


def test_faults_are_numbered_without_a_gap():
    assert list(FAULTS) == list(range(1, 53))


def test_a_mark_names_a_fault():
    assert SHOWN.keys() - FAULTS.keys() == set()


def test_every_fault_has_a_test_or_says_why_not():
    without = FAULTS.keys() - SHOWN.keys()
    assert without - OPEN.keys() == set(), "no test has the mark of these"
    assert OPEN.keys() & SHOWN.keys() == set(), "these have tests by now: take them out of OPEN"


def test_docs_reliability_md_is_made_from_the_catalogue():
    """`python -m scripts.reliability_page` writes it."""
    text = reliability_page.PAGE.read_text(encoding="utf-8")
    assert reliability_page.page(text) == text
