"""Base job templates of the kinds that Prefect's pools have, and what Prefect makes of them.

`kinds/*.json` holds a template each; what it resolves to when nobody sets anything (`resolved`); by case which leaves
the variables set and which they take away; and which variables are refused, with their places. The values are
Prefect's, taken from its own resolution and validation. `needed` is given to every case of a template that requires it.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from dispatcher.documents import pointer_of
from dispatcher.job_template import Level, check_template, check_variables, render

KINDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in Path(__file__).parent.glob("kinds/*.json")}
CASES = [pytest.param(kind, row, id=f"{kind}: {row['case']}") for kind, made in KINDS.items() for row in made["cases"]]
REFUSED = [
    pytest.param(kind, row, id=f"{kind}: {json.dumps(row['run'])}")
    for kind, made in KINDS.items()
    for row in made["refused"]
]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> dict[str, str]:
    """Every leaf as JSON, so that 1, 1.0 and true are three values."""
    if isinstance(value, dict | list) and value:
        rows = value.items() if isinstance(value, dict) else enumerate(value)
        return {where: leaf for name, part in rows for where, leaf in leaves(part, (*path, name)).items()}
    return {pointer_of(path): json.dumps(value)}


def template(kind: str, defaults: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = deepcopy(KINDS[kind]["template"])
    for name, value in defaults.items():
        made["variables"]["properties"][name]["default"] = value
    return made


def levels(kind: str, row: dict[str, Any]) -> list[Level]:
    needed = KINDS[kind]["needed"]
    return [Level("deployment", {**needed, **row.get("deployment", {})}), Level("run", row.get("run", {}))]


def test_all_kinds_are_there():
    assert set(KINDS) == {
        "process", "docker", "kubernetes", "kubernetes_pydantic1", "ecs", "cloud_run", "cloud_run_pydantic1",
        "cloud_run_v2", "aci",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_of_prefect_loads_whole(kind: str):
    made = KINDS[kind]["template"]
    before = deepcopy(made)
    assert check_template(made) == []
    assert made == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_defaults_leave_open_is_told(kind: str):
    made = KINDS[kind]
    found = check_variables(made["template"], [], required=True)
    assert [fault.text for fault in found] == [f'"{name}" is a required property' for name in made["missing"]]
    assert check_variables(made["template"], [], required=False) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_of_prefect_resolves_by_itself(kind: str):
    found = render(template(kind, {}), levels(kind, {})).configuration
    assert leaves(found) == leaves(KINDS[kind]["resolved"])


@pytest.mark.parametrize(("kind", "row"), CASES)
def test_a_template_of_prefect_resolves_as_it_does_there(kind: str, row: dict[str, Any]):
    wanted = leaves(KINDS[kind]["resolved"]) | {where: json.dumps(value) for where, value in row["sets"].items()}
    for where in row.get("takes", []):
        del wanted[where]
    found = render(template(kind, row.get("defaults", {})), levels(kind, row))
    assert leaves(found.configuration) == wanted
    assert found.origins.keys() == wanted.keys()


@pytest.mark.parametrize(("kind", "row"), REFUSED)
def test_variables_that_prefect_refuses_are_refused_at_these_places_or_inside(kind: str, row: dict[str, Any]):
    found = {fault.pointer for fault in check_variables(template(kind, {}), levels(kind, row), required=True)}
    by_place = {place: {one for one in found if (one + "/").startswith(place + "/")} for place in row["places"]}
    assert all(by_place.values())
    assert set().union(*by_place.values()) == found


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ecs", ("task_run_request", "overrides", "containerOverrides", 0, "environment")),
        ("kubernetes", ("job_manifest", "spec", "template", "spec", "containers", 0, "env")),
    ],
)
def test_a_map_inside_a_manifest_is_joined_as_the_one_at_the_top(kind: str, path: tuple[str | int, ...]):
    made = template(kind, {"env": {"POOL": "1"}})
    found: Any = render(made, levels(kind, {"run": {"env": {"RUN": "1"}}})).configuration
    at_the_top = found["env"]
    for step in path:
        found = found[step]
    assert found == at_the_top == {"POOL": "1", "RUN": "1"}
