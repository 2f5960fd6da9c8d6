"""What holds for any template and any variables."""

import json
import os
import subprocess
import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.job_template import InvalidVariables, Level, check_template, check_variables, merge, render

NAMES = ("a", "b", "env", "labels")
TEXTS = (
    "{{ a }}",
    "{{ b.k }}",
    "x {{ a }} {{ env }}",
    "{{ b[0] }}-{{ a ?? 1 }}",
    "plain",
    "\\{{ a }}",
    "{{labels}}{{a}}",
)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "t", *TEXTS])
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from("kmA"), v, max_size=2)
)
keys = st.sampled_from([*NAMES, "env.A", "env.A.k", "b.k", "labels.m", "zz"])
schemas = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "object", "array", "integer"]),
        "default": values,
        "x-merge": st.sampled_from(["replace", "deep", "append", "union"]),
    },
)
templates = st.fixed_dictionaries(
    {
        "job_configuration": st.dictionaries(
            st.sampled_from(["env", "x", "command"]), st.sampled_from(TEXTS) | values, max_size=3
        ),
        "variables": st.fixed_dictionaries({"properties": st.fixed_dictionaries(dict.fromkeys(NAMES, schemas))}),
    }
).filter(lambda found: not check_template(found))
levels = st.tuples(st.dictionaries(keys, values, max_size=3), st.dictionaries(keys, values, max_size=3)).map(
    lambda pair: [Level("deployment", pair[0]), Level("run", pair[1])]
)


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list) and value:
        rows = value.items() if isinstance(value, dict) else enumerate(value)
        return {where: leaf for name, part in rows for where, leaf in leaves(part, f"{place}/{name}").items()}
    return {place: value}


@settings(max_examples=300, deadline=None)
@given(templates, levels)
def test_validation_and_rendering_accept_the_same_inputs(template: dict[str, Any], given: list[Level]):
    faults = check_variables(template, given, required=True)
    try:
        found = render(template, given)
    except InvalidVariables as refused:
        assert list(refused.faults) == faults
        assert faults
    else:
        assert faults == []
        assert found == render(template, given)


@settings(max_examples=300, deadline=None)
@given(templates, levels)
def test_rendering_and_explaining_agree(template: dict[str, Any], given: list[Level]):
    if check_variables(template, given, required=True):
        return
    found, merged = render(template, given), merge(template, given)
    assert set(found.origins) == (set(leaves(found.configuration)) if found.configuration else set())
    told = {name for said in found.origins.values() for name in said.split(", ")}
    assert told <= {"template", "pool", "deployment", "run"}
    assert set(merged.origins) == (set(leaves(merged.values)) if merged.values else set())


@settings(max_examples=200, deadline=None)
@given(st.text('{} ab?\\"$.[]0', max_size=30))
def test_a_value_is_never_read_as_a_template(text: str):
    made = {
        "job_configuration": {"x": "{{ a }}", "y": "<{{ a }}{{ b }}>"},
        "variables": {"properties": {"a": {}, "b": {}}},
    }
    found = render(made, [Level("run", {"a": text, "b": "{{ a }}"})]).configuration
    assert found == {"x": text, "y": f"<{text}{{{{ a }}}}>"}


PROGRAM = """
import json, sys
from dispatcher.job_template import Level, check_variables, render
made, given = json.load(sys.stdin)
levels = [Level(*row) for row in given]
bad = Level("bad", {"q": 1, "p": 2, "a": []})
print(json.dumps([render(made, levels), check_variables(made, [*levels, bad], required=True)]))
"""


def test_the_result_does_not_depend_on_the_seed_of_hashes():
    made = {
        "job_configuration": {"x": "{{ a }}{{ b }}{{ c }}", "labels": "{{ labels }}", "l": "{{ l }}"},
        "variables": {"properties": {
            **{name: {"type": "string"} for name in "abc"}, "labels": {"default": {"z": 1, "y": 2}},
            "l": {"x-merge": "union", "default": [{"a": 1, "b": 2}]},
        }},
    }  # fmt: skip
    given = [["deployment", {"a": "{{ b }}", "b": "{{ c }}", "labels": {"x": 3}, "l": [{"b": 2, "a": 1}, 1, True]}],
             ["run", {"c": "{{ a }}", "labels.w": 4}]]  # fmt: skip
    found = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], input=json.dumps([made, given]), capture_output=True, text=True, check=True,  # noqa: E501 - a row of cases
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(4)
    }  # fmt: skip
    assert len(found) == 1
    (text,) = found
    assert json.loads(text)[0][0]["x"] == "{{ b }}{{ c }}{{ a }}"
    assert json.loads(text)[0][0]["l"] == [{"a": 1, "b": 2}, 1, True]
