r"""Placeholders in the texts of a template: `{{ name }}`, `{{ a.b[0].c }}`, `{{ name ?? 5 }}`; `\{{` is two braces.

A text is read once, from left to right; what is no placeholder is text, as in Prefect: `{{ a | b }}` stays.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from .nodes import Leaf, Node

_NAME = r"[\w.\-\[\]$]+"
_DEFAULT = r"\s*\"(?:[^\"\\]|\\.)*\"\s*|[^\"{}]*"
_PART = re.compile(rf"\\\{{\{{|\{{\{{\s*({_NAME})\s*(?:\?\?({_DEFAULT}))?\}}\}}")
_BROKEN = re.compile(rf"\{{\{{\s*{_NAME}\s*\?\?.{{0,40}}", re.DOTALL)
CONTEXT = "ctx."
"""Placeholders that begin so are known when a run starts."""
NOTHING: Final = object()


class Placeholder(NamedTuple):
    """A name to be looked up; `default` is NOTHING when none was given, `raw` is the text as it stands."""

    name: str
    default: Any
    raw: str

    @property
    def root(self) -> str:
        """The variable that it begins with."""
        return re.split(r"[.\[]", self.name, maxsplit=1)[0]

    @property
    def is_context(self) -> bool:
        """Whether it speaks of the run and not of variables."""
        return self.name.startswith(CONTEXT)


Part: TypeAlias = "str | Placeholder"


class MalformedDefault(ValueError):
    """What follows `??` is no scalar of JSON."""


@lru_cache(maxsize=4096)
def parts(text: str) -> tuple[Part, ...]:
    """Texts and placeholders in order, nothing empty. Raises MalformedDefault."""
    found: list[Part] = []
    written, end = "", 0
    for match in _PART.finditer(text):
        written += _literal(text[end : match.start()])
        end = match.end()
        if match[1] is None:
            written += "{{"
            continue
        if written:
            found.append(written)
        written = ""
        found.append(Placeholder(match[1], NOTHING if match[2] is None else _scalar(match[2]), match[0]))
    written += _literal(text[end:])
    return (*found, written) if written else tuple(found)


def _literal(text: str) -> str:
    if broken := _BROKEN.search(text):
        raise MalformedDefault(f"{broken[0]!r} is no placeholder: a default is text in double quotes, a number or null")
    return text


def _scalar(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = NOTHING
    if value is NOTHING or isinstance(value, dict | list):
        raise MalformedDefault(f"{text.strip()[:60]!r} is no default: text in double quotes, a number, true or null")
    return value


def named_in(text: str) -> Iterator[Placeholder]:
    """The placeholders of a text. Raises MalformedDefault."""
    yield from (part for part in parts(text) if isinstance(part, Placeholder))


def found_in(tree: dict[str, Node], name: str) -> Node | None:
    """What a name or path leads to; a key that looks like a number is found as well. None when there is nothing."""
    if name in tree:
        return tree[name]
    node: Node = tree
    for step in name.replace("[", ".").replace("]", "").split("."):
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, list) and re.fullmatch(r"-?\d{1,9}", step) and -len(node) <= int(step) < len(node):
            node = node[int(step)]
        else:
            return None
    return node


def text_of(leaf_or_tree: Node) -> str | None:
    """A value inside a text: scalars as Python writes them; None for what is a map or a list, which is JSON there."""
    if isinstance(leaf_or_tree, Leaf) and not isinstance(leaf_or_tree.value, dict | list):
        return str(leaf_or_tree.value)
    return None
