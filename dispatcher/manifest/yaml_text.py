"""YAML into plain values that know their lines. Bounded: no file can make it compute for ever.

Anchors, aliases and merge keys are followed; tags make nothing but plain values; a key is the text that is written.
Timestamps become ISO text, because what a manifest says ends as JSON.
"""

import math
from datetime import date
from typing import Any, NamedTuple

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .places import Finding, Lines, ManifestFaults, Path

LONGEST_TEXT = 1_000_000
MOST_VALUES = 50_000  # after aliases are followed; a file of 1 MB that is written out has fewer
DEEPEST = 60
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_PLAIN = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "value"))
_LARGEST, _SMALLEST = 2**64 - 1, -(2**63)  # what msgpack holds


class Tree(NamedTuple):
    """The value of a file, and where its parts are."""

    value: Any
    lines: Lines


class _Stop(Exception):
    """Going on would not end."""

    def __init__(self, line: int, path: Path, text: str) -> None:
        self.line, self.path, self.text = line, path, text
        super().__init__(text)


def read_yaml(text: str, file: str) -> Tree:
    """The one document of a YAML text. Raises ManifestFaults."""
    if len(text) > LONGEST_TEXT:
        raise ManifestFaults([Finding(file, 1, "", f"is longer than {LONGEST_TEXT:,} characters")])
    try:
        node = _compose(text)
    except yaml.YAMLError as error:
        raise ManifestFaults([_refused(error, file)]) from None
    except RecursionError:
        raise ManifestFaults([Finding(file, 1, "", "is nested too deeply")]) from None
    builder = _Builder()
    try:
        value = None if node is None else builder.build(node, ())
    except _Stop as stop:
        builder.tell(stop.line, stop.path, stop.text)
        value = None
    lines = Lines(file, builder.lines)
    if builder.told:
        raise ManifestFaults([lines.finding(path, said)._replace(line=line) for line, path, said in builder.told])
    return Tree(value, lines)


def _compose(text: str) -> Node | None:
    """The nodes of the document. In Python, where deep nesting is an exception and no crash."""
    loader = yaml.SafeLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _refused(error: yaml.YAMLError, file: str) -> Finding:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    if context and "but found another document" in str(problem):
        problem = "a second document begins here: one file, one document"
        context = None
    return Finding(file, mark.line + 1 if mark else 1, "", f"{context}: {problem}" if context else str(problem))


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


class _Builder:
    """Makes values of nodes. A node that is used twice is built twice, under its own path."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.told: list[tuple[int, Path, str]] = []
        self._made = 0
        self._open: set[int] = set()
        self._scalars = SafeConstructor()

    def tell(self, line: int, path: Path, text: str) -> None:
        """Note a fault, and go on."""
        self.told.append((line, path, text))

    def build(self, node: Node, path: Path) -> Any:
        self.lines.setdefault(path, _line(node))
        self._enter(node, path)
        try:
            if isinstance(node, ScalarNode):
                return self._scalar(node, path)
            if node.tag not in (_TAG + "map", _TAG + "seq"):
                return self.tell(_line(node), path, f"the tag {_shown(node.tag)} is not read: plain values only")
            if isinstance(node, SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _enter(self, node: Node, path: Path) -> None:
        if id(node) in self._open:
            raise _Stop(_line(node), path, "an anchor holds an alias of itself")
        self._made += 1
        if self._made > MOST_VALUES:
            raise _Stop(_line(node), path[:4], f"more than {MOST_VALUES:,} values once aliases are followed")
        if len(path) > DEEPEST:
            raise _Stop(_line(node), path[:4], f"is nested more than {DEEPEST} deep")
        self._open.add(id(node))

    def _mapping(self, node: Node, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, (key, value) in self._pairs(node, path).items():
            self.lines[*path, name] = _line(key)
            found[name] = self.build(value, (*path, name))
        return found

    def _pairs(self, node: Node, path: Path) -> dict[str, tuple[Node, Node]]:
        """Keys and values, those of merge keys behind its own. Keys that are said twice are faults."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    merged = {**self._source(source, path), **merged}
            elif not isinstance(key, ScalarNode) or key.tag not in _PLAIN:
                self.tell(_line(key), path, "a key is a plain word or text")
            elif key.value in own:
                first = _line(own[key.value][0])
                self.tell(_line(key), (*path, key.value), f"is said twice, in lines {first} and {_line(key)}")
            else:
                own[key.value] = (key, value)
        return {**merged, **own}

    def _source(self, node: Node, path: Path) -> dict[str, tuple[Node, Node]]:
        """What a merge key brings."""
        if not isinstance(node, MappingNode):
            self.tell(_line(node), path, "`<<` merges mappings: an alias of one, or a list of them")
            return {}
        self._enter(node, path)
        try:
            return self._pairs(node, path)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        line, tag = _line(node), node.tag
        if tag not in _PLAIN:
            return self.tell(line, path, f"the tag {_shown(tag)} is not read: plain values only")
        if tag == _TAG + "value":
            return node.value
        try:
            value = self._scalars.construct_object(node)
        except (ConstructorError, ValueError, LookupError, OverflowError, TypeError):
            return self.tell(line, path, f"{node.value[:60]!r} is no {tag.removeprefix(_TAG)}")
        return self._held(value, line, path)

    def _held(self, value: Any, line: int, path: Path) -> Any:
        """The value, if JSON and msgpack hold it."""
        if isinstance(value, str):
            if any("\ud800" <= letter <= "\udfff" for letter in value):
                return self.tell(line, path, "half a character (a lone surrogate) is no text")
            return value
        if isinstance(value, float) and not math.isfinite(value):
            return self.tell(line, path, f"{value} is no number that JSON knows")
        if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
            return self.tell(line, path, "is too large a number: 64 bits are held")
        return value.isoformat() if isinstance(value, date) else value


def _shown(tag: str) -> str:
    return ("!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag)[:60]
