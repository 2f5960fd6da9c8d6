"""Two documents, compared leaf by leaf."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..documents import pointer_of
from .places import Path


class Difference(NamedTuple):
    """A leaf that is to change. None: there is none, or there will be none."""

    pointer: str
    old: Any
    new: Any


def differences(old: Any, new: Any) -> tuple[Difference, ...]:
    """What differs, in the order of the new document, then what goes."""
    before, after = dict(_leaves(old, ())), dict(_leaves(new, ()))
    paths = [*after, *(path for path in before if path not in after)]
    return tuple(
        Difference(pointer_of(path), before.get(path), after.get(path))
        for path in paths
        if (path in before) != (path in after) or not _same(before[path], after[path])
    )


def _same(old: Any, new: Any) -> bool:
    """1 and true are two values, 1 and 1.0 are one."""
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    elif path:
        yield path, value
