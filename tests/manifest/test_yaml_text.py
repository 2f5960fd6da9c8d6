"""YAML with lines: what is followed, what is refused and where, and that no file computes for ever."""

import pytest

from dispatcher.manifest.places import ManifestFaults
from dispatcher.manifest.yaml_text import LONGEST_TEXT, read_yaml


def refusal(text: str) -> list[tuple[int, str, str]]:
    """Line, pointer and text of each fault."""
    with pytest.raises(ManifestFaults) as refused:
        read_yaml(text, "f.yaml")
    return [(found.line, found.pointer, found.text) for found in refused.value.findings]


def test_every_value_has_its_line():
    tree = read_yaml("a: 1\nb:\n  - x\n  - c: 2\n\n    d: 3\n", "f.yaml")
    assert tree.value == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert [tree.lines.line_of(path) for path in [("a",), ("b", 0), ("b", 1, "d"), ("b", 1, "none")]] == [1, 3, 6, 4]


def test_aliases_and_merge_keys_are_followed_and_own_keys_win():
    tree = read_yaml(
        "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  b: 3\n  <<: [*x, *y]\nw: {<<: *y, d: 4}\nv: [*x]\n", "f.yaml"
    )
    assert tree.value["z"] == {"a": 1, "b": 3, "c": 2}
    assert tree.value["w"] == {"b": 2, "c": 2, "d": 4}
    assert tree.value["v"] == [{"a": 1, "b": 1}]
    assert tree.lines.line_of(("z", "c")) == 2


def test_keys_are_text_as_it_is_written_and_timestamps_are_iso_text():
    value = read_yaml("on: 1\n1: 2\n'<<': 3\nat: 2030-01-31T08:00:00Z\nday: 2030-01-31\n", "f.yaml").value
    assert value == {"on": 1, "1": 2, "<<": 3, "at": "2030-01-31T08:00:00+00:00", "day": "2030-01-31"}


def test_nothing_at_all_is_no_value():
    assert read_yaml("# only a comment\n", "f.yaml").value is None


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: &b\n  c: *b\n", 2, "an anchor holds an alias of itself"),
        ("a: 1\nb: &b\n  <<: *b\n", 2, "an anchor holds an alias of itself"),
        ("a: &a [*a]\n", 1, "an anchor holds an alias of itself"),
        ("a: 1\n---\nb: 2\n", 2, "one file, one document"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "the tag !!python/object/apply:os.system is not read"),
        ("a: 1\nb: !Secret x\n", 2, "the tag !Secret is not read"),
        ("a: !!binary aGk=\n", 1, "the tag !!binary is not read"),
        ("a: !!set {x}\n", 1, "the tag !!set is not read"),
        ("a: 1\nb: !!int many\n", 2, "'many' is no int"),
        ("a: 1\nb: 2030-13-01\n", 2, "is no timestamp"),
        ("a: 1\nb: .nan\n", 2, "is no number that JSON knows"),
        ("a: 1\nb: 99999999999999999999\n", 2, "too large a number"),
        ("a: 1\nb: " + "9" * 5000 + "\n", 2, "is no int"),
        ('a: 1\nb: "\\ud800"\n', 2, "lone surrogate"),
        ("a: 1\n? [1, 2]\n: 3\n", 2, "a key is a plain word"),
        ("a: 1\nb: {<<: 3}\n", 2, "`<<` merges mappings"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: [1, 2\nb: 3\n", 2, "flow sequence"),
        ("a: 1\n\tb: 2\n", 2, "cannot start any token"),
        ("a: \x07\n", 1, "special characters are not allowed"),
    ],
)
def test_what_is_refused_is_told_with_its_line(text: str, line: int, said: str):
    ((found, _, words), *_) = refusal(text)
    assert (found, said in words) == (line, True), words


def test_duplicate_keys_are_refused_with_both_lines_and_all_at_once():
    assert refusal("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n") == [
        (5, "/b/c", "is said twice, in lines 3 and 5"),
        (6, "/a", "is said twice, in lines 1 and 6"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "l0: &l0 [x, x]\n" + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        "l0: &l0 {x: 1}\n" + "".join(f"l{n}: &l{n} {{<<: [*l{n - 1}, *l{n - 1}]}}\n" for n in range(1, 40)),
    ],
    ids=["aliases", "merge keys"],
)
def test_a_file_that_grows_without_end_is_refused(text: str):
    ((line, _, said),) = refusal(text)
    assert line <= 40
    assert "values once aliases are followed" in said


@pytest.mark.parametrize("text", ["[" * 20_000, "a: " + "{b: " * 80 + "1" + "}" * 80, "- " * 5000 + "x"])
def test_deep_nesting_is_refused(text: str):
    ((_, _, said),) = refusal(text)
    assert "nested" in said


def test_a_text_that_is_too_long_is_refused_unread():
    ((_, _, said),) = refusal("x" * (LONGEST_TEXT + 1))
    assert "is longer than" in said
