"""What a schema of variables accepts and refuses, as Prefect's validation does with the same schema and values."""

from typing import Any

import pytest

from dispatcher.job_template import Level, check_template, check_variables

NOBODY: dict[str, Any] = {}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}
TOWN = {"type": "object", "properties": {"mayor": PERSON, "size": {"type": "integer"}}, "required": ["mayor"]}
PAIR = {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "minItems": 2, "maxItems": 2}
PREFIXED = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}
EITHER = {"anyOf": [{"$ref": "#/definitions/Cat"}, {"$ref": "#/$defs/Dog"}]}
ANIMALS = {
    "definitions": {"Cat": {"type": "object", "properties": {"lives": {"type": "integer"}}, "required": ["lives"]}},
    "$defs": {"Dog": {"type": "object", "properties": {"bark": {"type": "string"}}, "required": ["bark"]}},
}


def variables(schema: dict[str, Any]) -> dict[str, Any]:
    return {"job_configuration": {}, "variables": {"type": "object", **schema}}


def places(schema: dict[str, Any], given: dict[str, Any], *, required: bool = True) -> list[str]:
    found = check_variables(variables(schema), [Level("run", given)], required=required)
    return sorted({fault.pointer for fault in found})


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        ({"type": "string"}, "", []),
        ({"type": "string"}, 1, ["/v"]),
        ({"type": "string"}, None, ["/v"]),
        ({"type": "integer"}, 1.0, []),
        ({"type": "integer"}, 1.5, ["/v"]),
        ({"type": "integer"}, True, ["/v"]),
        ({"type": "integer"}, "1", ["/v"]),
        ({"type": "number"}, 0, []),
        ({"type": "number"}, False, ["/v"]),
        ({"type": "boolean"}, False, []),
        ({"type": "boolean"}, 0, ["/v"]),
        ({"type": "null"}, None, []),
        ({"type": "null"}, "", ["/v"]),
        ({"type": "object"}, {}, []),
        ({"type": "object"}, [], ["/v"]),
        ({"type": ["string", "integer"]}, 1, []),
        ({"type": ["string", "integer"]}, 1.5, ["/v"]),
        ({}, {"anything": [None]}, []),
        ({"enum": ["a", 1, None]}, None, []),
        ({"enum": ["a", 1]}, "1", ["/v"]),
        ({"enum": [1]}, True, ["/v"]),
        ({"type": "string", "enum": ["a"]}, "b", ["/v"]),
        ({"const": {"a": 1}}, {"a": 1}, []),
        ({"const": "a"}, "b", ["/v"]),
        ({"type": "integer", "minimum": 1}, 1, []),
        ({"type": "integer", "minimum": 1}, 0, ["/v"]),
        ({"type": "number", "maximum": 1}, 1.1, ["/v"]),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5, []),
        ({"type": "number", "exclusiveMinimum": 0}, 0, ["/v"]),
        ({"type": "number", "exclusiveMaximum": 1}, 1, ["/v"]),
        ({"type": "integer", "multipleOf": 5}, 7, ["/v"]),
        ({"minimum": 5}, "a text has no size", []),
        ({"type": "string", "minLength": 1}, "", ["/v"]),
        ({"type": "string", "maxLength": 2}, "äöü", ["/v"]),
        ({"type": "string", "pattern": "^\\d+m$"}, "500m", []),
        ({"type": "string", "pattern": "^\\d+m$"}, "500", ["/v"]),
        ({"type": "string", "pattern": "b"}, "abc", []),
        ({"type": "string", "format": "uuid"}, "a format is a remark", []),
        ({"type": "array", "items": {"type": "string"}}, [], []),
        ({"type": "array", "items": {"type": "string"}}, "a", ["/v"]),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1, None], ["/v/1", "/v/2"]),
        ({"type": "array", "minItems": 1}, [], ["/v"]),
        ({"type": "array", "maxItems": 1}, [1, 2], ["/v"]),
        ({"type": "array", "uniqueItems": True}, [1, True], []),
        ({"type": "array", "uniqueItems": True}, [{"a": 1}, {"a": 1}], ["/v"]),
        (PAIR, ["a", 1], []),
        (PAIR, ["a"], ["/v"]),
        (PAIR, [1, "a"], ["/v/0", "/v/1"]),
        (PAIR, ["a", 1, 2], ["/v"]),
        ({"type": "array", "items": [{"type": "string"}]}, ["a", "any", 1], []),
        (PREFIXED, ["a", 1], []),
        (PREFIXED, ["a", 1, 2], ["/v/2"]),
        (PERSON, {"name": "Ada", "age": 36, "more": 1}, []),
        (PERSON, {"age": "old"}, ["/v", "/v/age"]),
        (PERSON, {"name": "Ada", "age": None}, []),
        (PERSON, {"name": None}, ["/v/name"]),
        (TOWN, {"mayor": {"name": "Ada", "age": 36}}, []),
        (TOWN, {"mayor": {"age": 36}}, ["/v/mayor"]),
        (TOWN, {"mayor": {"name": 1}, "size": "big"}, ["/v/mayor/name", "/v/size"]),
        ({"type": "array", "items": TOWN}, [{"mayor": {"name": "A"}}, {}], ["/v/1"]),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"a/b": 1}, ["/v/a~1b"]),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 1}, ["/v"]),
        ({"type": "object", "patternProperties": {"^x-": {"type": "integer"}}}, {"x-a": "1", "b": "1"}, ["/v/x-a"]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, []),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, ["/v"]),
        ({"oneOf": [{"type": "number"}, {"minimum": 5}]}, 6, ["/v"]),
        ({"allOf": [{"type": "integer"}, {"minimum": 5}]}, 4, ["/v"]),
        ({"not": {"type": "null"}}, None, ["/v"]),
        (EITHER, {"lives": 9}, []),
        (EITHER, {"bark": "loud"}, []),
        (EITHER, {"lives": "nine"}, ["/v"]),
        ({"allOf": [{"$ref": "#/definitions/Cat"}], "title": "A cat"}, {"lives": "nine"}, ["/v/lives"]),
        ({"$ref": "#/properties/w"}, "w", ["/v"]),
    ],
)
def test_a_value_fits_or_does_not(schema: dict[str, Any], value: Any, wanted: list[str]):
    whole = {"properties": {"v": schema, "w": {"type": "integer"}}, "required": ["v"], **ANIMALS}
    assert places(whole, {"v": value}) == wanted


@pytest.mark.parametrize(
    ("schema", "value", "wanted"),
    [
        ({"type": "string"}, None, []),
        ({"type": "string", "default": "x"}, None, []),
        ({"type": ["string", "integer"]}, None, []),
        ({"type": "array", "items": {"type": "string"}}, None, []),
        ({"type": "array", "items": {"type": "string"}}, [None], ["/v/0"]),
        ({"type": "integer", "minimum": 1}, None, []),
        (PERSON, None, []),
        (PERSON, {"name": None}, ["/v/name"]),
        ({"allOf": [{"$ref": "#/definitions/Cat"}]}, None, ["/v"]),
        ({"anyOf": [{"type": "string"}]}, None, ["/v"]),
    ],
)
def test_what_is_optional_and_names_its_type_may_be_null(schema: dict[str, Any], value: Any, wanted: list[str]):
    assert places({"properties": {"v": schema}, **ANIMALS}, {"v": value}) == wanted


@pytest.mark.parametrize(
    ("schema", "given", "always", "in_a_run"),
    [
        ({"properties": {"a": {}}, "required": ["a"]}, NOBODY, [], [""]),
        ({"properties": {"a": {"default": 1}}, "required": ["a"]}, NOBODY, [], []),
        ({"properties": {"a": {"default": None}}, "required": ["a"]}, NOBODY, [], [""]),
        ({"properties": {"a": PERSON}}, {"a": {}}, [], ["/a"]),
        ({"properties": {"a": {"type": "array", "items": PERSON}}}, {"a": [{}]}, [], ["/a/0"]),
        ({"properties": {"a": TOWN}}, {"a": {"mayor": {"age": "x"}}}, ["/a/mayor/age"], ["/a/mayor", "/a/mayor/age"]),
        ({"properties": {"a": EITHER}}, {"a": {"other": 1}}, [], ["/a"]),
        ({"properties": {"a": EITHER}}, {"a": {"lives": "x", "bark": 1}}, ["/a"], ["/a"]),
        ({"properties": {"a": {"$ref": "#/definitions/Cat"}}}, {"a": {}}, [], ["/a"]),
        ({"properties": {"a": {"$ref": "#/definitions/Cat", "default": {}}}}, NOBODY, [], ["/a"]),
        ({"properties": {"a": {"not": {"required": ["b"]}}}}, {"a": {"b": 1}}, ["/a"], ["/a"]),
        ({"properties": {"required": {"type": "integer"}}}, {"required": "x"}, ["/required"], ["/required"]),
    ],
)
def test_what_is_missing_at_any_depth_may_come_with_the_run(
    schema: dict[str, Any], given: dict[str, Any], always: list[str], in_a_run: list[str]
):
    whole = {**schema, **ANIMALS}
    assert check_template(variables(whole)) == []
    assert places(whole, given, required=False) == always
    assert places(whole, given) == in_a_run


@pytest.mark.parametrize(
    ("definitions", "ring"),
    [
        ({"A": {"$ref": "#/definitions/A"}}, True),
        ({"A": {"$ref": "#/definitions/B"}, "B": {"allOf": [{"$ref": "#/definitions/A"}]}}, True),
        ({"A": {"properties": {"next": {"anyOf": [{"$ref": "#/definitions/A"}, {"type": "null"}]}}}}, True),
        ({"A": {"type": "array", "items": {"$ref": "#"}}}, True),
        (
            {"A": {"properties": {"one": {"$ref": "#/definitions/B"}, "two": {"$ref": "#/definitions/B"}}}, "B": {}},
            False,
        ),
        ({"A": {"properties": {"$ref": {"type": "string"}}}}, False),
        ({"A": {"default": {"$ref": "#/definitions/A"}}}, False),
        ({"A": {"example": {"$ref": "#/nowhere"}, "examples": [{"$ref": "#/nowhere"}]}}, False),
    ],
)
def test_a_circle_is_refused_and_what_only_looks_like_one_is_not(definitions: dict[str, Any], ring: bool):
    made = variables({"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": definitions})
    assert ["leads back" in fault.text for fault in check_template(made)] == ([True] if ring else [])
