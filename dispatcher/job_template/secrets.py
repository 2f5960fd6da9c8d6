"""Secrets by reference: a variable may say `{"secretRef": "env:DB_PASSWORD"}` where the pool's template allows it.

The value is known to the worker alone. It is put in last, is never read as a template, and no error speaks of it.
"""

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from ..documents import Fault, pointer_of
from .nodes import Leaf, Path, SecretReference, Text

Resolver: TypeAlias = Callable[[str], str]
"""Gives the value of a place such as `env:NAME`; raises InvalidInput, without the value, where it has none."""
_ENV = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_ALLOWED = re.compile(r"env:[A-Za-z_*?][A-Za-z0-9_*?]*|file:/[^\x00-\x1f]+")


def allowed_places(template: Mapping[str, Any]) -> tuple[str, ...]:
    """The patterns of places that a template allows."""
    return tuple(template.get("secrets", {}).get("allow", ()))


def is_allowed(place: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns allows the place; `*` stands for any text, slashes too."""
    return any(fnmatchcase(place, pattern) for pattern in patterns)


def pattern_fault(pattern: Any) -> str:
    """What is wrong with a pattern of places, '' when nothing is."""
    if not isinstance(pattern, str) or not _ALLOWED.fullmatch(pattern):
        return f"{pattern!r} is no pattern of places: env:DB_* or file:/run/secrets/*"
    return "leaves its folder: no .. in a path" if ".." in pattern.split("/") else ""


def place_fault(place: str, patterns: Iterable[str]) -> str:
    """What is wrong with a reference, '' when nothing is."""
    kind, _, path = place.partition(":")
    if kind == "file":
        if not path.startswith("/") or path.startswith("//") or posixpath.normpath(path) != path or "\0" in path:
            return f"{place[:100]!r} is no place of a secret: file: and a whole path without . and .."
    elif not _ENV.fullmatch(place):
        return f"{place[:100]!r} is no place of a secret: env:NAME or file:/path of the worker"
    if not is_allowed(place, patterns):
        return f"the pool allows no secret from {place[:100]!r}: its template's secrets.allow has to name it"
    return ""


def secret_faults(path: Path, leaf: Leaf, patterns: Iterable[str]) -> list[Fault]:
    """The fault of a leaf that refers to a secret which it may not have."""
    if isinstance(leaf.value, SecretReference) and (text := place_fault(leaf.value.place, patterns)):
        return [Fault(pointer_of(path), text)]
    return []


def unrevealed(value: Any) -> Any:
    """What is shown where nobody may know a secret: the reference itself."""
    if isinstance(value, Text):
        return "".join(part if isinstance(part, str) else json.dumps(unrevealed(part)) for part in value.parts)
    return {"secretRef": value.place}


def revealed_by(resolver: Resolver) -> Callable[[Any], Any]:
    """How a worker fills secrets in."""

    def reveal(value: Any) -> Any:
        if isinstance(value, Text):
            return "".join(part if isinstance(part, str) else resolver(part.place) for part in value.parts)
        return resolver(value.place)

    return reveal
