"""The fold: from each entry of a pool's event stream to how many runs wait and which are in hand."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from ..codec import pack, unpack
from .report import Violation

LARGEST = 4 * 1024 * 1024
"""Bytes of a checkpoint: some 100,000 runs in hand. Where there are more, the next auditor begins anew."""
_ENDED_KEPT = 10_000
_VERSION = 1


class Ledger:
    """Runs of one pool as its events tell them, up to the entry `position`.

    `waiting` is how many are scheduled or queued, `held` which are in hand, suspended ones and orphans among them.
    """

    def __init__(self, position: str, waiting: int, held: Iterable[str], suspended: Iterable[str] = ()) -> None:
        self.position = position
        self.waiting = waiting
        self.suspended = set(suspended)
        self.held = set(held) | self.suspended
        self._ended: deque[str] = deque(maxlen=_ENDED_KEPT)
        self._known_ends: set[str] = set()
        self._violations: list[Violation] = []
        self._turns: dict[str, Callable[[list[str]], None]] = {
            "published": self._entered, "scheduled": self._scheduled, "admitted": self._admitted,
            "started": self._in_hand, "orphaned": self._in_hand, "adopted": self._in_hand,
            "cancelling": self._in_hand, "stuck": self._in_hand, "requeued": self._back, "retried": self._back,
            "suspended": self._suspended, "resumed": self._resumed, "finished": self._finished,
        }  # fmt: skip

    @classmethod
    def unpacked(cls, position: str, checkpoint: bytes) -> Self | None:
        """What `packed` wrote; None for a form of another release."""
        row: Any = unpack(checkpoint, LARGEST)
        if not isinstance(row, list) or len(row) != 4 or row[0] != _VERSION:  # pyright: ignore[reportUnknownArgumentType]
            return None
        _, waiting, held, suspended = row  # pyright: ignore[reportUnknownVariableType]
        return cls(position, waiting, held, suspended)  # pyright: ignore[reportUnknownArgumentType]

    def packed(self) -> bytes:
        """The ledger as a checkpoint. What ended lately is not in it."""
        row = [_VERSION, self.waiting, sorted(self.held), sorted(self.suspended)]
        return pack(row)

    def fold(self, entries: Sequence[tuple[str, str]]) -> list[Violation]:
        """Take in entries in order: id, and lines as dispatcher/README.md has them. What cannot be is returned."""
        self._violations = []
        for position, lines in entries:
            for line in lines.split("\n"):
                kind, _, words = line.partition(" ")
                if turn := self._turns.get(kind):
                    turn(words.split(" "))
            self.position = position
        return self._violations

    def compare(self, waiting: int, slots: Sequence[str] | int) -> list[Violation]:
        """What differs from what there is at this very position: runs that wait, holders of a slot of the pool."""
        found: list[Violation] = []
        if waiting != self.waiting:
            found.append(Violation("unbalanced", f"waiting={waiting},told={self.waiting}"))
        expected = self.held - self.suspended
        if isinstance(slots, int):
            if slots != len(expected):
                found.append(Violation("unbalanced", f"slots={slots},told={len(expected)}"))
            return found
        return found + [Violation("unbalanced", run_id) for run_id in sorted(expected ^ set(slots))]

    # One method a kind of line; `words` begin with the line's head ---------------------------------------------------

    def _entered(self, words: list[str]) -> None:
        self.waiting += len(words) - 1

    def _scheduled(self, words: list[str]) -> None:
        """A new run for later, or the next attempt of one that was in hand."""
        self.waiting += len(words) - 1
        self._put_down(words)

    def _admitted(self, words: list[str]) -> None:
        runs = words[1:]
        if twice := self.held.intersection(runs):
            self._violations += [Violation("repeated", run_id) for run_id in sorted(twice)]
        self.waiting -= len(runs)
        self.held.update(runs)

    def _in_hand(self, words: list[str]) -> None:
        self._violations += [Violation("repeated", run_id) for run_id in words[1:] if run_id not in self.held]

    def _back(self, words: list[str]) -> None:
        self._in_hand(words)
        self.waiting += len(words) - 1
        self._put_down(words)

    def _suspended(self, words: list[str]) -> None:
        self._in_hand(words)
        self.suspended.update(words[1:])

    def _resumed(self, words: list[str]) -> None:
        self._in_hand(words)
        self.suspended.difference_update(words[1:])

    def _finished(self, words: list[str]) -> None:
        for run_id in words[1:]:
            if run_id in self._known_ends:
                self._violations.append(Violation("repeated", run_id))
            elif run_id not in self.held:
                self.waiting -= 1
            self._note_end(run_id)
        self._put_down(words)

    def _put_down(self, words: list[str]) -> None:
        self.held.difference_update(words[1:])
        if self.suspended:
            self.suspended.difference_update(words[1:])

    def _note_end(self, run_id: str) -> None:
        if len(self._ended) == _ENDED_KEPT:
            self._known_ends.discard(self._ended[0])
        self._ended.append(run_id)
        self._known_ends.add(run_id)
