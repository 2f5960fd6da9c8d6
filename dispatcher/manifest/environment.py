r"""Variables of the environment in texts: `{{ $NAME }}`, `{{ $NAME ?? "default" }}`. Once; a value is never read again.

A text that is one placeholder and nothing else becomes a number, true, false or null where the variable's text is
exactly how JSON writes it; any other stays text. `\{{ $NAME }}` stays as it is, without the backslash.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .places import Finding, Lines, Path

_ANY = re.compile(r"(?P<escape>\\*)\{\{\s*\$(?P<inner>(?:\"(?:[^\"\\]|\\.)*\"|[^{}\"])*)\}\}")
_INNER = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*(?:\?\?\s*(?P<default>.+?)\s*)?\Z", re.DOTALL)


class Filled(NamedTuple):
    """A tree with its placeholders replaced; `texts` has the text of each value that did not stay text."""

    value: Any
    texts: dict[Path, str]
    findings: list[Finding]


def escape(text: str) -> str:
    """The text, so that reading it gives it back whatever it holds."""
    return _ANY.sub(lambda found: "\\" + found[0], text)


def fill(
    value: Any,
    lines: Lines,
    environment: Mapping[str, str],
    *,
    typed: bool,
    free: frozenset[str] = frozenset(),
    path: Path = (),
) -> Filled:
    """Replace the placeholders of every text of the value at `path`, but not under its keys in `free`.

    Without `typed` all stays text. What cannot be replaced is a finding.
    """
    filling = _Filling(lines, environment, typed=typed)
    if isinstance(value, dict):
        filled = {name: inner if name in free else filling.value(inner, (*path, name)) for name, inner in value.items()}
        return Filled(filled, filling.texts, filling.findings)
    return Filled(filling.value(value, path), filling.texts, filling.findings)


class _Filling:
    def __init__(self, lines: Lines, environment: Mapping[str, str], *, typed: bool) -> None:
        self._lines, self._environment, self._typed = lines, environment, typed
        self.texts: dict[Path, str] = {}
        self.findings: list[Finding] = []

    def value(self, value: Any, path: Path) -> Any:
        """The same with its texts filled."""
        if isinstance(value, dict):
            return {name: self.value(inner, (*path, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, (*path, index)) for index, inner in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "{{" in value else value

    def _text(self, text: str, path: Path) -> Any:
        whole = _ANY.fullmatch(text)
        if whole and not whole["escape"]:
            return self._alone(whole, path)
        return _ANY.sub(lambda found: found[0][1:] if found["escape"] else _written(self._found(found, path)), text)

    def _alone(self, found: re.Match[str], path: Path) -> Any:
        value = self._found(found, path)
        if not self._typed:
            return _written(value)
        if not isinstance(value, str):
            return value
        typed = _typed(value)
        if not isinstance(typed, str):
            self.texts[path] = value
        return typed

    def _found(self, found: re.Match[str], path: Path) -> Any:
        """The variable's text, or the default as JSON reads it."""
        inner = _INNER.match(found["inner"].strip())
        if inner is None:
            return self._refuse(path, f"{found[0]!r} is no placeholder: {{{{ $NAME }}}}, {{{{ $NAME ?? default }}}}")
        value = self._environment.get(inner["name"])
        if value is not None:
            return value
        if inner["default"] is None:
            return self._refuse(path, f"the environment has no {inner['name']}: set it, or write a default")
        try:
            default = json.loads(inner["default"])
        except ValueError:
            default = {}
        if isinstance(default, dict | list):
            return self._refuse(path, f"{inner['default']!r} is no default: a JSON text, number, true, false or null")
        return default

    def _refuse(self, path: Path, text: str) -> str:
        self.findings.append(self._lines.finding(path, text))
        return ""


def _typed(text: str) -> Any:
    """A number, true, false or null if that is exactly how it is written: nothing of the text is lost."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if not isinstance(value, str | dict | list) and json.dumps(value) == text else text


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
