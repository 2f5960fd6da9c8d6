"""What the readers of a prefect.yaml's parts share: notes and faults with lines, and values as Prefect takes them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ..durations import seconds_of
from ..errors import InvalidInput
from .environment import fill
from .places import Finding, Lines, Path

_ISO = re.compile(r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?")
_CLOCK = re.compile(r"(?:(?P<d>\d+) days?,? )?(?P<h>\d+):(?P<m>\d\d)(?::(?P<s>\d\d(?:\.\d+)?))?")
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_OTHER = re.compile(r"\{\{(?!\s*\$)")


class Reading:
    """One file being read: what is told about it."""

    def __init__(self, lines: Lines, environment: Mapping[str, str]) -> None:
        self.lines, self._environment = lines, environment
        self.found: list[Finding] = []
        self.notes: list[Finding] = []

    def fault(self, path: Path, text: str) -> None:
        """Something that is wrong: the file is refused."""
        self.found.append(self.lines.finding(path, text))

    def note(self, path: Path, text: str) -> None:
        """Something that the file says and that is not done."""
        self.notes.append(self.lines.finding(path, text))

    def filled(self, value: Any, path: Path, free: frozenset[str] = frozenset()) -> Any:
        """The value with the environment in its texts; they stay text, as Prefect has them."""
        found = fill(value, self.lines, self._environment, typed=False, free=free, path=path)
        self.found += found.findings
        return found.value

    def without_placeholders(self, value: Any, path: Path) -> Any:
        """The value without the texts that only Prefect can fill, each noted: outputs of steps, blocks, variables."""
        if isinstance(value, dict):
            return {
                name: self.without_placeholders(inner, (*path, name))
                for name, inner in value.items()
                if self._is_kept(inner, (*path, name))
            }
        if isinstance(value, list):
            kept = [(index, inner) for index, inner in enumerate(value) if self._is_kept(inner, (*path, index))]
            return [self.without_placeholders(inner, (*path, index)) for index, inner in kept]
        return value if self._is_kept(value, path) else None

    def _is_kept(self, value: Any, path: Path) -> bool:
        if not isinstance(value, str) or not _OTHER.search(value):
            return True
        self.note(path, f"{value[:80]!r} is not filled here: left out")
        return False

    def mapping(self, value: Any, path: Path) -> dict[str, Any]:
        """A mapping; nothing is an empty one."""
        if value is None or isinstance(value, dict):
            return value or {}
        self.fault(path, "is a mapping")
        return {}

    def items(self, value: Any, path: Path) -> list[Any]:
        """A list; nothing is an empty one."""
        if value is None or isinstance(value, list):
            return value or []
        self.fault(path, "is a list")
        return []

    def said(
        self, given: dict[str, Any], path: Path, known: frozenset[str], unsupported: Mapping[str, str]
    ) -> dict[str, Any]:
        """What is said by keys that are read here. Others are noted when they say something, or are faults."""
        for name, value in given.items():
            if name in known:
                continue
            if name not in unsupported:
                self.fault((*path, name), "is not known, here or in Prefect")
            elif value not in (None, [], {}):
                self.note((*path, name), unsupported[name])
        return {name: value for name, value in given.items() if name in known and value is not None}


def typed(value: Any) -> Any:
    """A text that is a number, true or false, as that: Prefect converts what fields want."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value.strip().lower())
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, int | float) else value


def text_of(value: Any) -> Any:
    """A number as text where text is wanted: `version: 1.2`."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def seconds(value: Any) -> Any:
    """A duration as Prefect reads it, in seconds: a number, `PT1H`, `1:30:00`; ours too. Else the value itself."""
    value = typed(value)
    if not isinstance(value, str):
        return value
    found = _ISO.fullmatch(value) or _CLOCK.fullmatch(value)
    parts = {unit: number for unit, number in found.groupdict().items() if number} if found else {}
    if parts:
        return sum(float(number) * _UNITS[unit] for unit, number in parts.items())
    try:
        return seconds_of(value)
    except InvalidInput:
        return value
