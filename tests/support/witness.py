"""What runs wrote down outside Sluice (see programs/witnessing.py), and what follows from it."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    """`kind` is start, end, stop (cancelled) or died (a process)."""

    kind: str
    name: str
    pid: int
    ns: int


class Witness:
    """The file that runs append to; give `environment` to their processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    @property
    def environment(self) -> dict[str, str]:
        """What a process must know to write here."""
        return {"WITNESS": str(self.path)}

    def lines(self) -> list[Line]:
        """All lines, by time."""
        rows = (line.split() for line in self.path.read_text().splitlines())
        return sorted((Line(kind, name, int(pid), int(ns)) for kind, name, pid, ns in rows), key=lambda line: line.ns)

    def count(self, kind: str) -> Counter[str]:
        """How often each run wrote such a line."""
        return Counter(line.name for line in self.lines() if line.kind == kind)

    def died(self, pid: int) -> int:
        """Note that a process runs nothing from now on; returns the time, ns."""
        now = time.monotonic_ns()
        with self.path.open("a") as file:
            file.write(f"died - {pid} {now}\n")
        return now

    def highest(self, counts: Callable[[str], bool] = lambda _: True) -> int:
        """The most runs (of those whose name counts) that went on at once."""
        running: set[tuple[str, int]] = set()
        most = 0
        for kind, name, pid, _ in self.lines():
            if kind == "died":
                running = {run for run in running if run[1] != pid}
            elif counts(name):
                (running.add if kind == "start" else running.discard)((name, pid))
            most = max(most, len(running))
        return most

    def exactly_once(self, names: set[str]) -> None:
        """AssertionError unless each of these runs began once and ended once, and no other did."""
        once = dict.fromkeys(names, 1)
        assert dict(self.count("start")) == once
        assert dict(self.count("end")) == once
