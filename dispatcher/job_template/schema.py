"""The JSON Schema (2020-12) of a template's variables: checked, and made ready to validate with.

Nothing outside the schema is read. What pydantic 1 and Prefect write is understood: null for what is optional, lists of
`items` for tuples, `definitions`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from ..documents import Fault, pointer_of
from .nodes import Path

_VALUES = frozenset({"default", "example", "examples", "enum", "const", "x-merge"})
"""Names in a schema below which there are values, no schemas."""
_NAMED = frozenset({"properties", "patternProperties", "definitions", "$defs", "dependentSchemas"})
"""Names below which every name is somebody's own."""
_REFERENCES = ("$ref", "$dynamicRef")


def refused(uri: str) -> Any:
    """Instead of reading a schema from elsewhere."""
    raise ValueError(f"{uri} is not read: a schema holds all that it refers to")


def subschemas(schema: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The schema and all schemas inside it, with their paths."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from subschemas(part, (*path, index))
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name, part in schema.items():
        if name in _NAMED and isinstance(part, dict):
            for own, inner in part.items():
                yield from subschemas(inner, (*path, name, own))
        elif name not in _VALUES:
            yield from subschemas(part, (*path, name))


def schema_faults(variables: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a schema of variables, as a schema; places are seen from it."""
    schema = dict(variables)
    found = list(_reference_faults(schema))
    if found:
        return found
    try:
        validator(variables)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, RecursionError) as error:
        place = pointer_of(getattr(error, "instance_path", ()))
        said = getattr(error, "message", "") or str(error)
        return [Fault(place, f"is no JSON Schema: {said.splitlines()[0][:300]}")]
    return []


def _reference_faults(schema: dict[str, Any]) -> Iterator[Fault]:
    edges: dict[Path, list[Path]] = {}
    for path, part in subschemas(schema):
        edges.setdefault(path, []).extend([(*path, *inner) for inner in _below(part)])
        for word in _REFERENCES:
            target = part.get(word)
            if not isinstance(target, str):
                continue
            found = _target(schema, target)
            if isinstance(found, str):
                yield Fault(pointer_of((*path, word)), found)
            else:
                edges[path].append(found)
    if (ring := _ring(edges)) is not None:
        yield Fault(pointer_of((*ring, "$ref")), "leads back to itself: write the schema out as deep as it is used")


def _below(part: dict[str, Any]) -> Iterator[Path]:
    """The schemas directly inside one."""
    for path, _ in subschemas(part):
        if path:
            yield path


def _target(schema: dict[str, Any], reference: str) -> Path | str:
    """The path that a reference leads to, or what is wrong with it."""
    if not reference.startswith("#"):
        return f"{reference[:100]!r} is elsewhere and is not read: put the schema under #/definitions"
    if reference != "#" and not reference.startswith("#/"):
        return f"{reference[:100]!r} is no place in this schema: #/definitions/NAME"
    steps = [step.replace("~1", "/").replace("~0", "~") for step in reference.split("/")[1:]]
    found: Any = schema
    path: Path = ()
    for step in steps:
        place: Any = int(step) if isinstance(found, list) and step.isdecimal() else step
        try:
            found = found[place]
        except (KeyError, IndexError, TypeError):
            return f"{reference[:100]!r} leads nowhere: there is no {step[:60]!r}"
        path = (*path, place)
    return path


def _ring(edges: dict[Path, list[Path]]) -> Path | None:
    """A schema from which references lead back to itself, if there is one."""
    known: dict[Path, bool] = {}
    for start, first in edges.items():
        way: list[tuple[Path, Iterator[Path]]] = [] if start in known else [(start, iter(first))]
        known.setdefault(start, bool(way))
        while way:
            path, rest = way[-1]
            following = next(rest, None)
            if following is None:
                known[path] = False
                way.pop()
            elif known.get(following):
                return path
            elif following not in known:
                known[following] = True
                way.append((following, iter(edges.get(following, ()))))
    return None


def validator(variables: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """What validates variables. Raises ValidationError of jsonschema_rs for what is no schema."""
    schema = lenient(dict(variables))
    schema.pop("$schema", None)
    return jsonschema_rs.Draft202012Validator(schema, retriever=refused)


def is_only_missing(error: jsonschema_rs.ValidationError) -> bool:
    """Whether a value would fit if something required were added to it, at any depth."""
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.AnyOf | jsonschema_rs.ValidationErrorKind.OneOfNotValid):
        return any(all(is_only_missing(inner) for inner in branch) for branch in kind.context)
    return isinstance(kind, jsonschema_rs.ValidationErrorKind.Required)


def lenient(schema: Any) -> Any:
    """A copy in which what is optional may be null, and tuples are written as 2020-12 does."""
    if isinstance(schema, list):
        return [lenient(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, part in schema.items():
        if name in _VALUES:
            made[name] = part
        elif name in _NAMED and isinstance(part, dict):
            made[name] = {own: lenient(inner) for own, inner in part.items()}
        else:
            made[name] = lenient(part)
    if isinstance(made.get("items"), list):
        made["prefixItems"] = made.pop("items")
        if "additionalItems" in made:
            made["items"] = made.pop("additionalItems")
    _allow_null(made)
    return made


def _allow_null(schema: dict[str, Any]) -> None:
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return
    for name, part in properties.items():
        kinds = _kinds(part) if name not in required else []
        if kinds:
            properties[name] = {**part, "type": sorted({*kinds, "null"})}
            if isinstance(part.get("enum"), list) and None not in part["enum"]:
                properties[name]["enum"] = [*part["enum"], None]


def _kinds(schema: Any) -> list[str]:
    """The types that a schema names, none where it says them otherwise."""
    said = schema.get("type") if isinstance(schema, dict) else None
    kinds: list[Any] = said if isinstance(said, list) else [said]
    return kinds if all(isinstance(kind, str) for kind in kinds) else []
