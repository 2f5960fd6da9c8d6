"""Values that know which level set them: a tree of dicts and lists whose leaves are stamped.

A template is rendered and explained from one tree, so that the two cannot differ.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from ..documents import Fault, pointer_of

DEEPEST = 60
"""Levels of nesting; a document of people has fewer."""
TEMPLATE = "template"
"""The level of what the template itself says, and no variable can change."""


class SecretReference(NamedTuple):
    """Where a worker finds a secret: `env:NAME` or `file:/path`."""

    place: str


class Text(NamedTuple):
    """Text with secrets inside, which are known to the worker alone."""

    parts: tuple[str | SecretReference, ...]


class Leaf(NamedTuple):
    """A scalar, an empty dict or list, or something secret; and the levels that it comes from."""

    value: Any
    levels: tuple[str, ...]


Node: TypeAlias = dict[str, "Node"] | list["Node"] | Leaf
Path: TypeAlias = tuple[str | int, ...]


def stamped(value: Any, level: str) -> Node:
    """The tree of a plain value, all of it from one level. Nothing of it is shared with the value."""
    if isinstance(value, dict):
        if (place := referred(value)) is not None:
            return Leaf(SecretReference(place), (level,))
        return {name: stamped(part, level) for name, part in value.items()} if value else Leaf({}, (level,))
    if isinstance(value, list | tuple):
        return [stamped(part, level) for part in value] if value else Leaf([], (level,))
    return Leaf(value, (level,))


def referred(value: Any) -> str | None:
    """The place that a secret reference names, or None when the value is none.

    Only `secretRef` alone with a text is one: `envFrom` of Kubernetes has a map there, and others stand beside a name.
    """
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("secretRef"), str):
        return str(value["secretRef"])
    return None


def is_map(node: Node) -> bool:
    """Whether it is a dict, perhaps an empty one."""
    return isinstance(node, dict) or (isinstance(node, Leaf) and node.value == {} and isinstance(node.value, dict))


def parts_of(node: Node) -> dict[str, Node]:
    """What a dict holds; nothing for an empty one."""
    return node if isinstance(node, dict) else {}


def plain(node: Node, reveal: Callable[[Any], Any]) -> Any:
    """The plain value, new in all its parts; `reveal` says what stands for secrets."""
    if isinstance(node, dict):
        return {name: plain(part, reveal) for name, part in node.items()}
    if isinstance(node, list):
        return [plain(part, reveal) for part in node]
    if isinstance(node.value, SecretReference | Text):
        return reveal(node.value)
    return type(node.value)() if isinstance(node.value, dict | list) else node.value


def leaves(node: Node, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Every leaf with its path, in the order of the document."""
    if isinstance(node, Leaf):
        yield path, node
    else:
        for place, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(part, (*path, place))


def strangers(value: Any, path: Path = ()) -> Iterator[Fault]:
    """Faults of what is no JSON: other types, names that are no text, numbers that are none, too deep."""
    if len(path) > DEEPEST:
        yield Fault(pointer_of(path), f"is nested more than {DEEPEST} levels deep")
    elif isinstance(value, dict):
        for name, part in value.items():
            if not isinstance(name, str):
                yield Fault(pointer_of(path), f"{name!r} is no name: a name is text")
            else:
                yield from strangers(part, (*path, name))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from strangers(part, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Fault(pointer_of(path), f"{value!r} is no number that JSON knows")
    elif value is not None and not isinstance(value, str | int | float):
        yield Fault(pointer_of(path), f"a {type(value).__name__} is no value: text, number, list, map, true or null")
