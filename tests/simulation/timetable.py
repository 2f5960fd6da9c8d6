"""One deployment with one schedule, as the scripts `agenda` and `fire` keep it; every instant of it is counted."""

from collections.abc import Sequence
from typing import Any

from dispatcher import codec, keys
from dispatcher.deployments import read_deployment

INTERVAL_MS = 2000
MEMBER, SLUG, EDITION = "often/s", "often", "1-1"
HEAD, RUN = 6, 4
_SAYS = {
    "name": SLUG, "pool": "p", "function": "work", "queue": "fast", "parameters": {"seconds": 0.05, "how": "well"},
    "schedules": [{"id": "s", "interval": INTERVAL_MS // 1000, "misfire": "all", "most": 5}],
}  # fmt: skip


class Timetable:
    """Where the schedule is. `fired` and `missed` instants together are all that went by."""

    def __init__(self, root: str, start_ms: int) -> None:
        self._root = root
        self._document = codec.pack(read_deployment(_SAYS).document())
        self.first = self.next = start_ms + INTERVAL_MS
        self.fired = self.missed = 0
        self.is_open = True

    def agenda(self) -> list[Any]:
        """The schedules there are."""
        return [MEMBER, str(self.next), EDITION] if self.is_open else []

    def fire(self, now: int, ahead: int, words: Sequence[str], published: list[Any], runs: Sequence[Any]) -> str:
        """Act at an instant: its runs go to `published`. The head of a fire, and its runs."""
        member, instant, edition, following, missed, _ = words
        if (member, edition) != (MEMBER, EDITION) or int(instant) != self.next or not self.is_open:
            return "stale"
        if self.next - ahead > now:
            return "early"
        published += runs
        self.next = int(following)
        self.fired += len(runs) // RUN
        self.missed += int(missed)
        return "fired"

    def read(self, word: str, *rest: Any) -> Any:
        """What is read of it without a script; None for what is another's."""
        if word == "HGETALL" and rest[0] == keys.deployment(self._root, SLUG):
            return {b"version": b"1", b"document": self._document, b"schedules": b"s", b"edition": EDITION.encode()}
        if word == "HGETALL" and rest[0] == keys.schedule(self._root, MEMBER):
            return {b"fired": str(self.fired).encode()}
        if word == "ZSCORE" and rest[0] == keys.schedules(self._root):
            return float(self.next)
        return None

    def is_behind(self, now: int) -> bool:
        """Whether an instant is due for more than two seconds."""
        return self.next < now - 2000

    @property
    def lost(self) -> int:
        """Instants that went by without a run and without being counted as missed; below 0: fired twice."""
        return (self.next - self.first) // INTERVAL_MS - self.fired - self.missed
