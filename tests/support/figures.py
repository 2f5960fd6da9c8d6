"""Which faults tests are about, and what they measured: for the table of docs/reliability.md.

`@pytest.mark.fault(12)` says that a test shows fault 12 of scripts/faults.py; `--fault 12` runs those of that number;
`--figures FILE` appends a line of JSON for each figure that a test notes.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest


def numbers_of(item: pytest.Item) -> set[int]:
    """The faults that a test is marked with."""
    return {number for mark in item.iter_markers("fault") for number in mark.args}


def select(items: list[pytest.Item], wanted: Iterable[int]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those of these tests that show one of the wanted faults, and the others."""
    faults = set(wanted)
    kept = [item for item in items if numbers_of(item) & faults]
    return kept, [item for item in items if not numbers_of(item) & faults]


class Figures:
    """Notes what one test measured, where somebody asked for it."""

    def __init__(self, faults: Iterable[int], path: str | None) -> None:
        self._faults, self._path = sorted(faults), path

    def note(self, what: str, value: float, unit: str = "s") -> None:
        """Write a figure down: what it is, how much, of what."""
        if not self._path:
            return
        rows = [{"fault": number, "what": what, "value": round(value, 3), "unit": unit} for number in self._faults]
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, "".join(json.dumps(row) + "\n" for row in rows).encode())
        finally:
            os.close(file)


def read(path: Path) -> Iterator[dict[str, object]]:
    """The figures of a file."""
    for line in path.read_text().splitlines():
        yield json.loads(line)
