"""What is refused, and where it is said to be wrong."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from dispatcher.job_template import Level, check_template, check_variables, render, template_of


def template(configuration: Any, properties: Any, **more: Any) -> dict[str, Any]:
    return {"job_configuration": configuration, "variables": {"type": "object", "properties": properties}, **more}


def pointers(document: Any) -> list[str]:
    return [fault.pointer for fault in check_template(document)]


def variables(schema: dict[str, Any], given: dict[str, Any], *, required: bool = True) -> list[tuple[str, str]]:
    made = {"job_configuration": {}, "variables": schema}
    return [tuple(fault) for fault in check_variables(made, [Level("run", given)], required=required)]


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ([], [""]),
        ({}, ["/job_configuration", "/variables"]),
        ({"job_configuration": {}}, ["/variables"]),
        ({"job_configuration": {}, "variables": {}, "more": 1}, ["/more"]),
        (template({"a": {"b": ["{{ other }}", "{{ third }}"]}}, {}), ["/job_configuration/a/b/0", "/job_configuration/a/b/1"]),  # noqa: E501 - a row of cases
        (template({"a": {"{{ other }}": 1}}, {}), ["/job_configuration/a/{{ other }}"]),
        (template({"a": "{{ $HOME }}"}, {}), ["/job_configuration/a"]),
        (template({"a": "{{ prefect.blocks.secret.x }}"}, {}), ["/job_configuration/a"]),
        (template({"a": "{{ prefect.variables.x }}"}, {}), ["/job_configuration/a"]),
        (template({"a": "{{ a ?? b }}"}, {"a": {}}), ["/job_configuration/a"]),
        (template({"a": '{{ a ?? {"b": 1} }}'}, {"a": {}}), ["/job_configuration/a"]),
        (template({}, {"a": {"type": "integer", "default": "x"}, "b~/": {"type": "string", "default": 1}}),
         ["/variables/properties/a/default", "/variables/properties/b~0~1/default"]),
        (template({}, {"env": {"additionalProperties": {"type": "string"}, "default": {"A": 1}}}),
         ["/variables/properties/env/default/A"]),
        (template({}, {"a": {"type": "objct"}}), ["/variables/properties/a/type"]),
        (template({}, {"a": {"$ref": "http://127.0.0.1:1/x"}}), ["/variables/properties/a/$ref"]),
        (template({}, {"a": {"$ref": "#/definitions/B"}}), ["/variables/properties/a/$ref"]),
        (template({}, {"a": {"x-merge": "sideways"}}), ["/variables/properties/a/x-merge"]),
        (template({}, {"a": {"properties": {"b": {"x-merge": "deep"}}}}), ["/variables/properties/a/properties/b/x-merge"]),  # noqa: E501 - a row of cases
        (template({}, {"a": {"default": {"$ref": {"block_document_id": "1"}}}}), ["/variables/properties/a/default"]),
        (template({}, {"a": {"default": {"b": [{"$ref": {"block_document_id": "1"}}]}}}),
         ["/variables/properties/a/default/b/0"]),
        (template({"a": [{"$ref": {"block_document_id": "1"}}]}, {}), ["/job_configuration/a/0"]),
        (template({}, {"a": {"default": "{{ prefect.blocks.secret.x }}"}}), ["/variables/properties/a/default"]),
        (template({}, {}, secrets={"allow": ["env:A*", "DB_*", 1]}), ["/secrets/allow/1", "/secrets/allow/2"]),
        (template({}, {}, secrets=["env:A"]), ["/secrets"]),
        ({"job_configuration": {"a": {1}}, "variables": {}}, ["/job_configuration/a"]),
    ],
)  # fmt: skip
def test_a_template_that_cannot_work_is_refused_with_every_place(document: Any, places: list[str]):
    assert pointers(document) == places


def test_references_that_lead_back_to_themselves_are_refused():
    made = template({}, {"a": {"$ref": "#/definitions/A"}})
    made["variables"]["definitions"] = {"A": {"properties": {"next": {"$ref": "#/definitions/A"}}}}
    (fault,) = check_template(made)
    assert "leads back to itself" in fault.text


def test_what_prefect_accepts_loads():
    made = template(
        {"a": "{{ env.FOO }}", "b": "{{ ctx.flow.name }}", "c": "{{ pair }}"},
        {"env.FOO": {"type": "string", "default": "x"}, "pair": {"type": "array", "items": [{"type": "integer"}, {}]}},
    )
    made["variables"]["properties"]["d"] = {"$ref": "#/definitions/D"}
    made["variables"]["definitions"] = {"D": {"type": "integer"}}
    assert check_template(made) == []
    assert render(made, []).configuration == {"a": "x", "b": "{{ ctx.flow.name }}"}
    found = check_variables(made, [Level("run", {"pair": ["x", 1], "d": "y"})], required=True)
    assert [fault.pointer for fault in found] \
        == ["/pair/0", "/d"]  # fmt: skip


def test_what_is_required_may_come_with_the_run():
    schema = {"properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert variables(schema, {}, required=False) == []
    assert [place for place, _ in variables(schema, {})] == [""]
    assert variables(schema, {"a": None}) != []


def test_a_reference_to_a_block_is_refused_and_says_what_to_do():
    schema = {"properties": {"a": {"type": "object"}, "env": {"type": "object"}}}
    block = {"$ref": {"block_document_id": "1"}}
    found = variables(schema, {"a": block, "env.A": block})
    assert sorted(place for place, _ in found) == ["/a", "/env/A"]
    assert all("no blocks" in text and "secretRef" in text and "(set by run)" in text for _, text in found)
    assert variables(schema, {"a": {"$ref": "#/definitions/A", "block_document_id": "1"}}) == []


def test_null_is_an_answer_for_what_is_optional():
    schema = {"properties": {"a": {"type": "string", "default": "x"}, "e": {"type": "string", "enum": ["x"]}}}
    assert variables(schema, {"a": None, "e": None}) == []


def test_unknown_variables_are_refused_unless_the_schema_takes_them():
    schema = {"properties": {"a": {}}}
    assert variables(schema, {"q": 1}) == [("/q", "is no variable of this pool (set by run): it has a")]
    assert variables({**schema, "additionalProperties": True}, {"q": 1}) == []
    assert [place for place, _ in variables({**schema, "additionalProperties": {"type": "string"}}, {"q": 1})] == ["/q"]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"a..b": 1}, "/a..b"),
        ({"a.b": 1, "a.b.c": 2}, "/a.b.c"),
        ({"a.b.c": 2, "a.b": 1}, "/a.b"),
        ({"a": {1}}, "/a"),
        ({"a": float("nan")}, "/a"),
        ({"a": {1: 2}}, "/a"),
    ],
)
def test_variables_that_are_no_values_or_contradict_are_refused(given: dict[str, Any], place: str):
    assert [found for found, _ in variables({"properties": {"a": {}}}, given)] == [place]


class Disk(BaseModel):
    size: int = 1


class Sized(BaseModel):
    image: str
    disk: Disk = Disk()
    env: dict[str, str] = Field(default_factory=dict)


def test_a_typed_configuration_is_a_template():
    made = template_of(Sized)
    assert check_template(made) == []
    found = render(made, [Level("run", {"image": "a", "disk.size": 2, "env": {"A": "1"}})]).configuration
    assert Sized.model_validate(found) == Sized(image="a", disk=Disk(size=2), env={"A": "1"})
    assert [fault.pointer for fault in check_variables(made, [Level("run", {"disk": {"size": "x"}})], required=True)] \
        == ["", "/disk/size"]  # fmt: skip
