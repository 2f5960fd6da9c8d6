"""What the runs themselves wrote, read without asking Sluice."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .load import QUEUES, Planned

MARGIN_NS = 300_000_000
"""Between a slot that is given and the line that a run writes lie a hand-off and a thread's start."""


class Attempt(NamedTuple):
    """One execution of a run; `end_ns` is 0 when it wrote no end."""

    number: int
    pid: int
    start_ns: int
    end_ns: int


@dataclass
class Witness:
    """The lines of all processes, as attempts."""

    attempts: list[Attempt] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Witness":
        """Read the file; a start and the end that the same process wrote for that run belong together."""
        open_starts: dict[tuple[int, int], int] = {}
        attempts: list[Attempt] = []
        for line in path.read_text().splitlines() if path.exists() else ():
            event, number, pid, at = line.split()
            which = (int(number), int(pid))
            if event == "start":
                open_starts[which] = int(at)
            else:
                attempts.append(Attempt(*which, open_starts.pop(which), int(at)))
        attempts += [Attempt(*which, start, 0) for which, start in open_starts.items()]
        return cls(sorted(attempts, key=lambda attempt: attempt.start_ns))

    @property
    def ended(self) -> Counter[int]:
        """How often each run ended."""
        return Counter(attempt.number for attempt in self.attempts if attempt.end_ns)

    def running(self, pid: int | None = None) -> list[Attempt]:
        """Attempts without an end, of one process or all."""
        return [attempt for attempt in self.attempts if not attempt.end_ns and pid in (None, attempt.pid)]

    def most_at_once(self, killed: tuple[int, int], counts: Callable[[Attempt], bool]) -> int:
        """The highest concurrency among the attempts that count; those of a killed process (pid, ns) ended with it."""
        edges: list[tuple[int, int]] = []
        for attempt in filter(counts, self.attempts):
            end = attempt.end_ns or (killed[1] if attempt.pid == killed[0] else 0)
            edges += [(attempt.start_ns, 1), (end, -1)] if end else [(attempt.start_ns, 1)]
        most = now = 0
        for _, step in sorted(edges):
            now += step
            most = max(most, now)
        return most

    def recovery_ns(self, killed: tuple[int, int], taken_back: Iterable[int]) -> tuple[int, int]:
        """From the kill to the first and to the last start elsewhere of the runs that the dead process held."""
        starts: dict[int, int] = {}
        for attempt in self.attempts:
            if attempt.pid != killed[0] and attempt.start_ns > killed[1]:
                starts.setdefault(attempt.number, attempt.start_ns)
        times = [starts.get(number, 2**63) - killed[1] for number in taken_back]
        return (min(times), max(times)) if times else (0, 0)

    def overtaken(self, plans: Iterable[Planned], taken_back: set[int]) -> int:
        """How many runs saw one of a lower priority start long after they could have, and before they did.

        Runs that the dead worker held were not waiting, so they do not count.
        """
        first: dict[int, int] = {}
        for attempt in self.attempts:
            first.setdefault(attempt.number, attempt.start_ns)
        starts: dict[int, list[int]] = defaultdict(list)
        waits = [plan for plan in plans if plan.number not in taken_back and not plan.has_key]
        for plan in waits:
            starts[QUEUES[plan.queue][0]].append(first[plan.number])
        return sum(
            any(
                plan.ready_ns + MARGIN_NS < start < first[plan.number] - MARGIN_NS
                for priority, times in starts.items()
                if priority > QUEUES[plan.queue][0]
                for start in times
            )
            for plan in waits
        )
