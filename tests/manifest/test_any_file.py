"""Whatever a file holds: it is read, or refused with places; nothing else happens."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.manifest import Manifest, ManifestFaults, read_manifest

ROOT = Path(__file__).resolve().parents[2]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["{{ $A }}", "{{ $B }}", "{{ x.y }}", "* * * * *", "f.py:f", "1h", "2030-01-01", "1" * 400, "p"])
)
VALUES = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(st.text(max_size=3), LEAVES, max_size=2)
SOURCES = [
    yaml.safe_load(path.read_text())
    for path in [*Path(__file__).parent.glob("prefect/*.yaml"), ROOT / "examples/deployments/sluice.yaml"]
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from paths(part, (*path, key))


PLACES = [(number, path) for number, source in enumerate(SOURCES) for path in paths(source)]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


@settings(deadline=None, max_examples=400)
@given(place=st.sampled_from(PLACES), new=VALUES, file=st.sampled_from(["sluice.yaml", "prefect.yaml", "other.yaml"]))
def test_a_file_with_a_part_that_is_something_else_is_read_or_refused_with_places(
    place: tuple[int, tuple[Any, ...]], new: Any, file: str
):
    text = yaml.safe_dump(replaced(SOURCES[place[0]], place[1], new))
    try:
        assert isinstance(read_manifest(text, file, {"A": "5"}), Manifest)
    except ManifestFaults as refused:
        assert refused.findings
        assert all(1 <= found.line <= len(text.splitlines()) + 1 and found.text for found in refused.findings)


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from("&*<[]{}:,- \n'\"!#|>%@`ab01?~$\\\t"), max_size=60))
def test_any_text_is_read_or_refused(text: str):
    for file in ("sluice.yaml", "prefect.yaml"):
        try:
            read_manifest(text, file, {})
        except ManifestFaults as refused:
            assert refused.findings
