"""What runs wrote down outside Sluice, in the order in which they wrote it, and what follows from it."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Note(NamedTuple):
    """A line of a run: `kind` is start or end, `host` the container it ran in, `ns` the clock of that moment."""

    kind: str
    run: str
    host: str
    tenant: str
    ns: int


class Notes:
    """All lines of the file. A run that starts anew has left the container that it was in before: that one is dead."""

    def __init__(self, lines: Iterable[str]) -> None:
        rows = (line.split() for line in lines)
        self.all = [Note(kind, run, host, tenant, int(ns)) for kind, run, host, tenant, ns in rows]

    @property
    def ended(self) -> Counter[str]:
        """How often each run ended."""
        return Counter(note.run for note in self.all if note.kind == "end")

    @property
    def started(self) -> set[str]:
        """Runs that started at least once."""
        return {note.run for note in self.all if note.kind == "start"}

    def started_again(self) -> set[str]:
        """Runs that started more than once."""
        starts = Counter(note.run for note in self.all if note.kind == "start")
        return {run for run, times in starts.items() if times > 1}

    def open(self) -> dict[str, Note]:
        """Runs that are under way, each with its last start."""
        found: dict[str, Note] = {}
        for note in self.all:
            if note.kind == "start":
                found[note.run] = note
            else:
                found.pop(note.run, None)
        return found

    def most_at_once(self, counts: Callable[[Note], bool] = lambda _: True) -> int:
        """The most runs that were under way at one time, of those that count; a dead worker's until they go on."""
        most, running = 0, set[str]()
        for note in filter(counts, self.all):
            (running.add if note.kind == "start" else running.discard)(note.run)
            most = max(most, len(running))
        return most

    def most_in(self, host: str, died_ns: int = 0) -> int:
        """The most runs that were under way at one time in a container; what ran in it when it died is over."""
        before = Notes(())
        before.all = [note for note in self.all if note.ns <= died_ns]
        after = Notes(())
        after.all = [note for note in self.all if note.ns > died_ns]
        return max(part.most_at_once(lambda note: note.host == host) for part in (before, after))

    def first_end_ns(self) -> int:
        """When the first run had ended."""
        return min(note.ns for note in self.all if note.kind == "end")

    def last_ns(self, kind: str) -> int:
        """When the last line of this kind was written, 0 for never."""
        return max((note.ns for note in self.all if note.kind == kind), default=0)

    def hosts(self) -> set[str]:
        """The containers in which runs started."""
        return {note.host for note in self.all if note.kind == "start"}
