"""What a worker holds: runs by id, and which hand-off numbers it has seen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dispatcher.models import HandOff

if TYPE_CHECKING:
    import asyncio

    from dispatcher.spans import Span


@dataclass(slots=True)
class Held:
    """A run in this worker's hands.

    `begun`: its infrastructure is up; `announced`: Redis knows it; `released`: it goes on without this worker.
    """

    run: HandOff
    task: "asyncio.Task[None] | None" = None
    infrastructure: str = ""
    begun: bool = False
    cancel_asked: bool = False
    is_stuck: bool = False
    announced: bool = False
    released: bool = False
    stopped: bool = False
    ended: bool = False
    span: "Span | None" = None


class Holding:
    """The runs held, and `seen`: the highest number without a gap. Numbers it has are dropped when they come again."""

    def __init__(self) -> None:
        self.seen = 0
        self.runs: dict[str, Held] = {}
        self._beyond: set[int] = set()

    def take(self, run: HandOff) -> Held | None:
        """Hold a run; None when this hand-off was here before, or is older than the claim that is held."""
        number = run.number
        if number <= self.seen or number in self._beyond:
            return None
        if number == self.seen + 1:
            self.seen = number
            while self.seen + 1 in self._beyond:
                self.seen += 1
                self._beyond.discard(self.seen)
        else:
            self._beyond.add(number)
        lives = bool(run.infrastructure)
        held = Held(run, infrastructure=run.infrastructure, begun=lives, announced=lives)
        self.runs[run.id] = held
        return held

    def saw(self, number: int) -> None:
        """A turn's reply held everything up to `number`."""
        self.seen = max(self.seen, number)
        if self._beyond:
            self._beyond = {beyond for beyond in self._beyond if beyond > self.seen}

    def drop(self, run_id: str, token: str) -> None:
        """The end of this claim was taken."""
        held = self.runs.get(run_id)
        if held and held.run.token == token:
            del self.runs[run_id]

    def snapshot(self) -> tuple[int, list[str]]:
        """`seen`, and then the ids: in this order every run up to `seen` is among them, from any thread."""
        seen = self.seen
        return seen, list(self.runs)

    def is_free(self) -> bool:
        """Whether nothing is held but what is stuck, or left to another worker."""
        return all((held.is_stuck and not held.ended) or held.released for held in self.runs.values())

    def is_stuck(self) -> bool:
        """Whether something is held that goes on in this process and cannot be ended."""
        return any(held.is_stuck and not held.ended for held in self.runs.values())

    def goes_on(self) -> bool:
        """Whether something is held that has yet to end here."""
        return any(not (held.ended or held.released or held.is_stuck) for held in self.runs.values())

    def running(self) -> int:
        """Runs that have not ended here."""
        return sum(1 for held in self.runs.values() if not (held.ended or held.released))


Ends = list[Any]
END_WIDTH = 5
