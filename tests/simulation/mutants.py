"""Faults put into what is simulated; each of them has to be found. By name: what is replaced by what."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dispatcher.caretaker import Caretaker
from dispatcher.store import WorkerStore
from scheduler.promotion import Promoter
from tests.model.reference import End
from tests.model.state import HELD
from workers.hands import Hands
from workers.holding import Held, Holding
from workers.lease import Lease
from workers.server_time import ServerTime
from workers.session import Session

from .specified import Specified
from .timetable import Timetable

Fault = tuple[type, str, Callable[..., Any]]


_MODEL_TURN = Specified.turn


def _any_claim(
    self: Specified, now: int, name: str, seen: int, offer: int, ends: list[End], reply: Any, told: Any
) -> None:
    """An end is taken from whoever tells it, be he lost and his token old."""
    for end in ends:
        run = self.runs.get(end[0])
        if run and run.state in HELD and run.worker in self.workers:
            self.finish(self.workers[run.worker], (run.id, run.token, *end[2:]), now)
    self.settle(now, told, more=0)
    _MODEL_TURN(self, now, name, seen, offer, ends, reply, told)


def _unwatched(self: Specified, now: int, reply: Any, told: Any) -> None:
    """A lease that is over is over, whether anybody looked or not."""
    self.last_tick, self.floor = now, 0
    _TICK(self, now, reply, told)


_TICK = Specified.tick


def _take_again(self: Holding, run: Any) -> Held:
    """Every hand-off is a new one."""
    self.seen = max(self.seen, run.number)
    held = self.runs[run.id] = Held(run)
    return held


_TURN = WorkerStore.turn


async def _unseen(self: WorkerStore, pool: str, worker: str, seen: int, **words: Any) -> Any:
    return await _TURN(self, pool, worker, 0, **words)


def _twice_as_long(self: Lease, asked: float) -> None:
    self._until = max(self._until, asked + 2 * self.seconds)


def _fired_again(self: Timetable, now: int, ahead: int, words: Any, published: list[Any], runs: Any) -> str:
    published += runs
    self.next, self.fired = int(words[3]), self.fired + len(runs) // 4
    return "fired"


async def _deaf(self: Promoter, last: dict[str, str]) -> None:
    await asyncio.sleep(1.0)


async def _idle(self: Any, *_: Any) -> None:
    await asyncio.Event().wait()


def _nothing(self: Any, *_: Any) -> None:
    """It is not done."""


MUTANTS: dict[str, list[Fault]] = {
    "a worker goes on without its lease": [(Session, "_distrust", _nothing)],
    "a lease is trusted for twice its time": [(Lease, "renewed", _twice_as_long)],
    "an end needs no token": [(Specified, "turn", _any_claim)],
    "leases end unwatched": [(Specified, "tick", _unwatched)],
    "what was seen is not sent, and begins again": [(WorkerStore, "turn", _unseen), (Holding, "take", _take_again)],
    "ends of a failed turn are forgotten": [(Hands, "keep_ends", _nothing)],
    "old letters are obeyed": [(ServerTime, "is_within", lambda self, seconds, at_ms: True)],
    "an instant is fired by whoever comes": [(Timetable, "fire", _fired_again)],
    "schedulers are deaf": [(Promoter, "_hear", _deaf)],
    "nobody looks after lost workers": [(Caretaker, "_watch", _idle)],
}

# Where a fault shows under some troubles alone, these are what happens.
TROUBLES = {
    "an end needs no token": ("freeze", "partition"),
    "old letters are obeyed": ("freeze", "busy", "partition"),
}


@contextmanager
def at_work(name: str) -> Iterator[None]:
    """Put the faults of a mutant in, for a while."""
    patches = [patch.object(where, what, fault) for where, what, fault in MUTANTS[name]]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
