"""Levels of variables become one: the pool's defaults, then the deployment's, then the run's.

A later level always wins. How it meets the earlier ones is said by `x-merge` in the variable's schema:

    replace   the later value stands (what is not said otherwise)
    deep      maps are joined, name by name (env, labels and annotations, unless they say otherwise)
    append    lists are joined, the later one behind
    union     the same, without what is there already

A dotted name (`env.FOO`) sets one place and leaves the rest. Within a level, the plain name wins over dotted ones.
An `env` of null adds nothing to it, as in Prefect: a file that says `env:` and no more takes nothing away.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..documents import Fault, pointer_of
from .nodes import Leaf, Node, is_map, leaves, parts_of, plain, stamped
from .secrets import unrevealed

POOL = "pool"
"""The level of the defaults in the template's schema."""
STRATEGIES = ("replace", "deep", "append", "union")
DEEP_BY_DEFAULT = frozenset({"env", "labels", "annotations"})


class Level(NamedTuple):
    """Variables that one party sets; the name is shown to people: `deployment`, `run`."""

    name: str
    variables: Mapping[str, Any]


class Merged(NamedTuple):
    """The variables as they are used, and which level set each leaf, by JSON pointer."""

    values: dict[str, Any]
    origins: dict[str, str]


class _Change(NamedTuple):
    """What a level does to one variable; `whole`: it was named plainly."""

    value: Any
    whole: bool


def defaults_of(template: Mapping[str, Any]) -> Level:
    """The lowest level: each property's default, where it has one that is not null."""
    schemas = template["variables"].get("properties", {})
    given = {name: schema.get("default") for name, schema in schemas.items() if isinstance(schema, dict)}
    return Level(POOL, {name: value for name, value in given.items() if value is not None})


def merge(template: Mapping[str, Any], levels: Sequence[Level]) -> Merged:
    """Merge the template's defaults and the levels, in this order; what contradicts itself is left to the check."""
    tree, _ = merged_tree(template, levels)
    values: dict[str, Any] = plain(tree, unrevealed)
    origins = {pointer_of(path): ", ".join(leaf.levels) for path, leaf in leaves(tree) if path}
    return Merged(values, origins)


def merged_tree(template: Mapping[str, Any], levels: Sequence[Level]) -> tuple[dict[str, Node], list[Fault]]:
    """The tree of all levels, and the dotted names that lead nowhere or contradict another one."""
    schemas = template["variables"].get("properties", {})
    tree: dict[str, Node] = {}
    faults: list[Fault] = []
    for level in (defaults_of(template), *levels):
        for name, change in _changes(level, schemas, faults).items():
            if name == "env" and change.value is None:
                continue
            made = stamped(change.value, level.name)
            how = strategy(name, schemas.get(name)) if change.whole else "deep"
            tree[name] = _met(tree[name], made, how) if name in tree else made
    return tree, faults


def strategy(name: str, schema: Any) -> str:
    """How the levels of a variable meet."""
    said = schema.get("x-merge") if isinstance(schema, dict) else None
    return said if said in STRATEGIES else "deep" if name in DEEP_BY_DEFAULT else "replace"


def is_path(name: str, schemas: Mapping[str, Any]) -> bool:
    """Whether a name with a dot sets a place inside a variable; a declared name is itself, unless its root is one."""
    root, dot, _ = name.partition(".")
    return bool(dot) and (name not in schemas or root in schemas)


def _changes(level: Level, schemas: Mapping[str, Any], faults: list[Fault]) -> dict[str, _Change]:
    """By variable; dotted names are laid out first, plain ones over them."""
    nested: dict[str, Any] = {}
    plainly: dict[str, Any] = {}
    for name, value in level.variables.items():
        if not is_path(name, schemas):
            plainly[name] = value
        elif problem := _placed(nested, name.split("."), value):
            faults.append(Fault(pointer_of((name,)), f"{problem} (set by {level.name})"))
    found = {name: _Change(value, whole=False) for name, value in nested.items()}
    for name, value in plainly.items():
        found[name] = _Change(_over(nested[name], value) if name in nested else value, whole=True)
    return found


def _placed(tree: dict[str, Any], steps: list[str], value: Any) -> str:
    """Put the value at its place; what is wrong, if something is."""
    if not all(steps):
        return "is no path: names with single dots between them"
    for step in steps[:-1]:
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            return f"contradicts another variable, which sets {step!r} itself"
    if steps[-1] not in tree:
        tree[steps[-1]] = _over({}, value) if isinstance(value, dict) else value
    elif isinstance(value, dict) and isinstance(tree[steps[-1]], dict):
        tree[steps[-1]] = _over(value, tree[steps[-1]])
    else:
        return f"contradicts another variable, which sets a place inside {steps[-1]!r}"
    return ""


def _over(below: Any, above: Any) -> Any:
    """Plain maps joined, the second one wins; neither is changed."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{name: _over(below.get(name), value) for name, value in above.items()}}


def joined(below: Node, above: Node) -> Node:
    """Two trees as one, name by name; what is no map is replaced."""
    if not (is_map(below) and is_map(above)):
        return above
    if not parts_of(above):
        return below if parts_of(below) else above
    return {
        **parts_of(below),
        **{name: joined(parts_of(below).get(name, part), part) for name, part in parts_of(above).items()},
    }


def _met(below: Node, above: Node, how: str) -> Node:
    if how == "deep":
        return joined(below, above)
    if how == "replace" or _items(below) is None or _items(above) is None:
        return above
    had, new = _items(below) or [], _items(above) or []
    if how == "union":
        known = {_identity(node) for node in had}
        new = [node for node in new if not (_identity(node) in known or known.add(_identity(node)))]  # type: ignore[func-returns-value]
    return [*had, *new] or above


def _items(node: Node) -> list[Node] | None:
    """The items of a list, None for what is none."""
    if isinstance(node, Leaf):
        return [] if isinstance(node.value, list) else None
    return node if isinstance(node, list) else None


def _identity(node: Node) -> str:
    """Equal for equal values: 1 and True differ, the order of names in a map does not."""
    rows = [(repr(path), type(leaf.value).__name__, repr(leaf.value)) for path, leaf in leaves(node)]
    return repr((type(node).__name__, sorted(rows)))
