"""What is wrong with a template, and with variables for it: everything at once, each with its place.

Variables are validated as they are used: merged, with the pool's defaults.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..documents import Fault, pointer_of
from .merging import POOL, STRATEGIES, defaults_of
from .nodes import Leaf, Node, Path, SecretReference, leaves, plain, referred, strangers
from .placeholders import MalformedDefault, Placeholder, found_in, named_in
from .schema import is_only_missing, schema_faults, subschemas, validator
from .secrets import allowed_places, pattern_fault, place_fault, secret_faults

_KNOWN = ("job_configuration", "variables", "secrets")
_NOT_TEXT = "takes no text, and a secret is text"
_BLOCK = ("$ref", "block_document_id")
"""How a value refers to a block of Prefect's: `{"$ref": {"block_document_id": ID}}`."""
_ELSEWHERE = {
    "prefect.blocks.": "Sluice has no blocks: use a variable, whose value may be a secretRef",
    "prefect.variables.": "Sluice has no variables of a server: declare one in `variables`",
    "$": "a template reads no environment: use a variable, whose value may be a secretRef such as env:NAME",
}
_REFERS = f"refers to a block: {_ELSEWHERE['prefect.blocks.']}"


def shape_faults(template: Any) -> list[Fault]:
    """What is missing or of the wrong kind; only a template without such faults can be read further."""
    if not isinstance(template, Mapping):
        return [Fault("", "is no map with job_configuration and variables")]
    found = list(strangers(dict(template)))
    found += [
        Fault(f"/{name}", "is missing" if name not in template else "is no map")
        for name in ("job_configuration", "variables")
        if not isinstance(template.get(name), dict)
    ]
    found += [Fault(pointer_of((name,)), "is not known here") for name in template if name not in _KNOWN]
    variables, secrets = template.get("variables"), template.get("secrets", {})
    if isinstance(variables, dict):
        properties = variables.get("properties", {})
        if not isinstance(properties, dict):
            found.append(Fault("/variables/properties", "is no map of variables"))
        if variables.get("type", "object") != "object":
            found.append(Fault("/variables/type", "is not 'object': variables are a map"))
    if not isinstance(secrets, dict) or secrets.keys() - {"allow"} or not isinstance(secrets.get("allow", []), list):
        found.append(Fault("/secrets", 'is not of the form {"allow": ["env:DB_*", "file:/run/secrets/*"]}'))
    return found


def template_faults(template: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a template whose shape is right, but for its defaults."""
    patterns = template.get("secrets", {}).get("allow", [])
    found = [Fault(f"/secrets/allow/{i}", text) for i, one in enumerate(patterns) if (text := pattern_fault(one))]
    found += [Fault("/variables" + place, text) for place, text in schema_faults(template["variables"])]
    found += _strategy_faults(template["variables"])
    if not any(fault.pointer.startswith("/secrets") for fault in found):
        found += _configuration_faults(
            template["job_configuration"], ("job_configuration",), template, allowed_places(template)
        )
    return [*found, *_foreign_defaults(template["variables"].get("properties", {}))]


def _strategy_faults(variables: Mapping[str, Any]) -> Iterator[Fault]:
    for path, schema in subschemas(dict(variables)):
        if "x-merge" not in schema:
            continue
        place = pointer_of(("variables", *path, "x-merge"))
        if len(path) != 2 or path[0] != "properties":
            yield Fault(place, "belongs to a variable itself, not to a part of one")
        elif schema["x-merge"] not in STRATEGIES:
            yield Fault(place, f"{schema['x-merge']!r} is no way to merge: one of {', '.join(STRATEGIES)}")


def _configuration_faults(
    value: Any, path: Path, template: Mapping[str, Any], patterns: Iterable[str]
) -> Iterator[Fault]:
    """Placeholders that are not declared or not ours, also in names; secrets that are not allowed."""
    if (place := referred(value)) is not None:
        if text := place_fault(place, patterns):
            yield Fault(pointer_of(path), text)
    elif isinstance(value, dict):
        if _is_block(value):
            yield Fault(pointer_of(path), _REFERS)
        for name, part in value.items():
            yield from _text_faults(name, (*path, name), template)
            yield from _configuration_faults(part, (*path, name), template, patterns)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _configuration_faults(part, (*path, index), template, patterns)
    elif isinstance(value, str):
        yield from _text_faults(value, path, template)


def _text_faults(text: str, path: Path, template: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        found = {placeholder.name: placeholder for placeholder in named_in(text)}
    except MalformedDefault as error:
        yield Fault(pointer_of(path), str(error))
        return
    for placeholder in found.values():
        if said := _placeholder_fault(placeholder, template):
            yield Fault(pointer_of(path), said)


def _placeholder_fault(placeholder: Placeholder, template: Mapping[str, Any]) -> str:
    for prefix, said in _ELSEWHERE.items():
        if placeholder.name.startswith(prefix):
            return f"{placeholder.raw} is not filled in: {said}"
    if placeholder.is_context:
        return ""
    known = declared(template)
    if placeholder.name in known or placeholder.root in known:
        return ""
    return f"{placeholder.raw} is not declared: add {placeholder.root!r} to variables.properties"


def _is_block(value: Any) -> bool:
    outer, inner = _BLOCK
    return isinstance(value.get(outer), dict) and inner in value[outer]


def _foreign_defaults(properties: Mapping[str, Any]) -> Iterator[Fault]:
    """Defaults that another system would fill in; here they would stay as they are."""
    for name, schema in properties.items():
        default = schema.get("default") if isinstance(schema, dict) else None
        place = pointer_of(("variables", "properties", name, "default"))
        if isinstance(default, str) and not _is_malformed(default):
            for prefix in ("prefect.blocks.", "prefect.variables."):
                if any(found.name.startswith(prefix) for found in named_in(default)):
                    yield Fault(place, f"values are never read as templates, and {_ELSEWHERE[prefix]}")


def _is_malformed(text: str) -> bool:
    try:
        return not any(named_in(text))
    except MalformedDefault:
        return True


def declared(template: Mapping[str, Any]) -> frozenset[str]:
    """The variables that a template knows; `env` too, when its configuration has a map of that name."""
    names = frozenset(template["variables"].get("properties", {}))
    return names | {"env"} if isinstance(template["job_configuration"].get("env"), dict) else names


def tree_faults(template: Mapping[str, Any], tree: dict[str, Node], *, required: bool) -> list[Fault]:
    """What is wrong with merged variables: secrets, names that are not known, and what the schema says."""
    patterns = allowed_places(template)
    found = [fault for path, leaf in leaves(tree) for fault in secret_faults(path, leaf, patterns)]
    found += [
        Fault(pointer_of(path[:-2]), f"{_REFERS}{_by(tree, path)}") for path, _ in leaves(tree) if path[-2:] == _BLOCK
    ]
    variables = template["variables"]
    if "additionalProperties" not in variables and "patternProperties" not in variables:
        known = declared(template)
        has = f"it has {', '.join(sorted(known))}" if known else "it has none"
        found += [
            Fault(pointer_of((name,)), f"is no variable of this pool{_by(tree, (name,))}: {has}")
            for name in tree
            if name not in known
        ]
    return [*found, *_schema_faults(variables, tree, required=required)]


def _schema_faults(variables: Mapping[str, Any], tree: dict[str, Node], *, required: bool) -> Iterator[Fault]:
    values = plain(tree, _stand_in)
    for name in variables.get("properties", {}):
        if name not in values and "." in name and (node := found_in(tree, name)) is not None:
            values[name] = plain(node, _stand_in)
    hidden = {path for path, leaf in leaves(tree) if isinstance(leaf.value, SecretReference)}
    for error in validator(variables).iter_errors(values):
        if not required and is_only_missing(error):
            continue
        path: Path = tuple(error.instance_path)
        if path not in hidden:
            yield Fault(pointer_of(path), f"{error.message[:500]}{_by(tree, path)}")
        elif list(error.schema_path)[-1:] == ["type"]:
            yield Fault(pointer_of(path), f"{_NOT_TEXT}{_by(tree, path)}")


def _stand_in(reference: Any) -> str:
    """A secret is text; which one is not known here."""
    return str(reference.place)


def _by(tree: dict[str, Node], path: Path) -> str:
    """Which levels set what is there, if there is something."""
    node: Any = tree
    for step in path:
        if isinstance(node, Leaf) or (isinstance(node, dict) and step not in node):
            break
        node = node[step]
    levels = list(dict.fromkeys(level for _, leaf in leaves(node) for level in leaf.levels)) if path else []
    return f" (set by {', '.join(levels)})" if levels else ""


def default_faults(template: Mapping[str, Any], tree: dict[str, Node]) -> list[Fault]:
    """What is wrong with the defaults alone, at their places in the template."""
    names = defaults_of(template).variables
    moved: list[Fault] = []
    for fault in tree_faults(template, tree, required=False):
        _, _, rest = fault.pointer.partition("/")
        name, slash, inner = rest.partition("/")
        own = name.replace("~1", "/").replace("~0", "~")
        whole = pointer_of(("variables", "properties", own, "default"))
        text = fault.text.removesuffix(f" (set by {POOL})")
        moved.append(Fault(whole + slash + inner, text) if own in names else Fault("/variables", fault.text))
    return moved
