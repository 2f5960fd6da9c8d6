"""The runs in a session's hands: each a task from its hand-off to its end, and the ends that wait for the next turn."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable

from dispatcher.models import HandOff
from dispatcher.store import Claim

from .contract import Outcome
from .holding import END_WIDTH, Ends, Held, Holding

ENDS_A_TURN, BYTES_A_TURN = 256, 8 * 1024 * 1024
"""What one turn takes at most: after an outage ten thousand ends may wait, and a script is to be short."""
Execute = Callable[[Held], Coroutine[None, None, None]]


class Hands:
    """Takes runs, and puts them down again. `changed` is called when one has ended.

    Where runs `live_on`, those that Redis knows to run are not stopped but released: another worker adopts them.
    """

    def __init__(self, changed: Callable[[], None], *, live_on: bool) -> None:
        self.holding = Holding()
        self._changed, self._live_on = changed, live_on
        self._ends: Ends = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ends_waiting(self) -> int:
        """Ends that no turn has taken yet."""
        return len(self._ends) // END_WIDTH

    def receive(self, run: HandOff, execute: Execute, *, trusted: bool) -> None:
        """Begin a run; where the lease is not trusted, hand it back. What runs already is watched all the same."""
        held = self.holding.take(run)
        if held is None:
            return
        if not (trusted or held.announced):
            self.ended(held, Outcome("return"))
            return
        task = held.task = asyncio.get_running_loop().create_task(execute(held))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._task_ended(task, held))

    def _task_ended(self, task: "asyncio.Task[None]", held: Held) -> None:
        self._tasks.discard(task)
        if not (held.ended or held.released):  # cancelled before it began
            self.ended(held, Outcome("cancelled", "asked") if held.cancel_asked else Outcome("return"))

    def ended(self, held: Held, outcome: Outcome) -> None:
        """A claim is over; its end goes in with the next turn."""
        held.ended = True
        run = held.run
        self._ends += (run.id, run.token, outcome.outcome, outcome.argument, outcome.result)
        self._changed()

    def take_ends(self) -> Ends:
        """The ends for a turn, the oldest first; the others wait for the next one."""
        size = count = 0
        for result in self._ends[END_WIDTH - 1 : ENDS_A_TURN * END_WIDTH : END_WIDTH]:
            size += len(result)
            if count and size > BYTES_A_TURN:
                break
            count += END_WIDTH
        ends, self._ends = self._ends[:count], self._ends[count:]
        return ends

    def keep_ends(self, ends: Ends) -> None:
        """The turn failed: they go in with the next one."""
        self._ends = ends + self._ends

    def drop(self, ends: Ends) -> int:
        """A turn took these: they are not held any more. How many."""
        for i in range(0, len(ends), END_WIDTH):
            self.holding.drop(ends[i], ends[i + 1])
        return len(ends) // END_WIDTH

    def is_free(self) -> bool:
        """Whether nothing is left but what is stuck."""
        return not self._ends and self.holding.is_free()

    def cancel(self, orders: Iterable[Claim]) -> None:
        """Somebody asked these claims to end."""
        for run_id, token in orders:
            held = self.holding.runs.get(run_id)
            if held and held.run.token == token and held.task and not held.ended and not held.cancel_asked:
                held.cancel_asked = True
                if held.run.infrastructure:  # it must have begun, to be stopped, and may be as new as this order
                    asyncio.get_running_loop().call_soon(held.task.cancel)
                else:
                    held.task.cancel()

    def lose(self, ids: Iterable[str], seen: int) -> list[str]:
        """Stop those of these runs that are held by a hand-off up to `seen`: Redis has given them to others. Which."""
        lost = []
        for run_id in ids:
            held = self.holding.runs.get(run_id)
            if held and held.run.number <= seen and held.task and not (held.ended or held.stopped or held.is_stuck):
                held.stopped = True
                held.task.cancel()
                lost.append(run_id)
        return lost

    def put_down(self, *, begun: bool = True, distrusted: bool = False) -> int:
        """Stop what runs, or only what has not begun, to be handed back; how many.

        What lives on is released; while only the lease is `distrusted` it is watched on, for that harms nobody.
        """
        running = [
            held
            for held in self.holding.runs.values()
            if held.task and not (held.ended or held.stopped or held.is_stuck) and (begun or not held.begun)
        ]
        if distrusted:
            running = [held for held in running if not self._lives_on(held)]
        for held in running:
            held.stopped, held.released = True, self._lives_on(held)
            if held.task:
                held.task.cancel()
        return len(running)

    def _lives_on(self, held: Held) -> bool:
        return self._live_on and held.announced and not held.cancel_asked

    async def settle(self, seconds: float) -> None:
        """Give what was put down a moment to end; what cannot be ended goes on, and may be found stuck."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
