"""The text of an export: whatever a deployment holds is read back as it was, and written the same again."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.deployments import Deployment, Stored
from dispatcher.manifest import State, export, read_manifest

TRICKY = st.sampled_from(
    ["on", "no", "~", "null", "1", "1.0", "1_000", "0x1F", "1:30", "2030-01-01", "<<", "=", "", " ", "- a", "a: b", "#",
     "{{ $A }}", "\\{{ $A }}",
     "{{ $A", "{{ $ }}", '{{ $A ?? "}}" }}', "x\n", "\n", "a\n b", "\tx", "\x85", "\u2028", "&a",
     "*a", "!t", "%", "@", "`", "'", '"', "\\", "é", "🙂", "\x7f", "\x00", "\ufeff", "?", "? a", "|", ">", "a #b"]
)  # fmt: skip
TEXT = (
    TRICKY | st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.builds("{}{}".format, TRICKY, TRICKY)
)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(parameters=st.dictionaries(TEXT, VALUES, max_size=4), description=TEXT)
@example(parameters={"a": 1e300, "b": -0.0, "c": 5e-324}, description="x")
def test_any_value_is_read_back_as_it_was(parameters: dict[str, Any], description: str):
    document = Deployment(name="a", function="f", parameters=parameters, description=description)
    text = export(State({}, {"a": Stored(document, 1)}))
    (declared,) = read_manifest(text, "sluice.yaml", {"A": "wrong"}).deployments
    assert declared.document == document
    assert repr(declared.document.parameters) == repr(document.parameters)
    assert export(State({}, {"a": Stored(declared.document, 1)})) == text
