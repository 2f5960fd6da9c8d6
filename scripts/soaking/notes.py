"""What publishers and runs wrote to files, read as it grows."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .load import CHILD


class Tail:
    """The whole lines that were added to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self._path, self._place = path, 0

    def read(self) -> list[list[str]]:
        """The words of each new line; none while there is no file."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._place)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._place += len(whole)
        return [line.split() for line in whole.decode(errors="replace").splitlines()]


@dataclass
class Journals:
    """What the publishers asked for and what was acknowledged."""

    tails: list[Tail]
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Run -> pool, bucket."""
    acknowledged: set[str] = field(default_factory=set)
    same: dict[str, str] = field(default_factory=dict)
    """A run that was not published, because its idempotency key was taken -> the run that has it."""
    cancelled: dict[str, int] = field(default_factory=dict)
    """Runs that were cancelled at once, as was acknowledged, and when, in ms."""
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    heard: set[int] = field(default_factory=set)
    """Places of the publishers that were acknowledged something."""

    def read(self) -> None:
        """Take up what is new."""
        for place, tail in enumerate(self.tails):
            for words in tail.read():
                self._take(words)
                if words[0] == "ok":
                    self.heard.add(place)

    def are_all_heard(self) -> bool:
        """Whether each publisher was acknowledged something."""
        return len(self.heard) == len(self.tails)

    def _take(self, words: list[str]) -> None:
        kind, run, *rest = words
        if kind == "ask":
            self.asked[run] = (rest[0], rest[1])
        elif kind == "ok":
            self.acknowledged.add(run)
        elif kind == "same":
            self.same[run] = rest[0]
            self.acknowledged.add(rest[0])
        elif kind == "no":
            self.refused[rest[0]] += 1
        elif kind == "cancel" and rest[0] == "cancelled":
            self.cancelled[run] = int(rest[1])
        elif kind == "wrong":
            self.wrong.append(f"{run} has the result of another run: {' '.join(rest)}")


@dataclass(slots=True)
class Execution:
    """One execution as the run's own code saw it; `ended_ms` is 0 when it wrote no last line."""

    run: str
    token: int
    attempt: int
    pid: int
    began_ms: int
    ended_ms: int = 0
    how: str = ""


@dataclass
class Family:
    """What one execution of a parent wrote of its children: those that were acknowledged, and what became of each."""

    born: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)


@dataclass
class Witness:
    """What the runs wrote when they began and ended."""

    tail: Tail
    executions: dict[tuple[str, int], Execution] = field(default_factory=dict)
    """By run and claim token."""
    families: dict[tuple[str, int], Family] = field(default_factory=dict)
    """By parent and its claim token."""
    faults: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Take up what is new."""
        for kind, run, token, attempt, pid, ms in self.tail.read():
            claim = (run, int(token))
            if kind in {"born", "got", "missed", "gone", "wrong"}:
                self._relate(kind, run, int(token))
                continue
            if kind == "start":
                if claim in self.executions:
                    self.faults.append(f"{run} was executed twice under token {token}")
                self.executions[claim] = Execution(run, int(token), int(attempt), int(pid), int(ms))
                continue
            found = self.executions[claim]
            if found.ended_ms:
                self.faults.append(f"{run} ended twice under token {token}")
            found.ended_ms, found.how = int(ms), kind

    def _relate(self, kind: str, child: str, token: int) -> None:
        family = self.families.setdefault((child.rpartition(CHILD)[0], token), Family())
        if kind == "born":
            family.born.add(child)
        else:
            family.told[child] = kind

    def of(self) -> dict[str, list[Execution]]:
        """All executions of each run, by token."""
        by_run: dict[str, list[Execution]] = {}
        for execution in self.executions.values():
            by_run.setdefault(execution.run, []).append(execution)
        for found in by_run.values():
            found.sort(key=lambda execution: execution.token)
        return by_run
