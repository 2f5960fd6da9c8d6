"""Simulated processes: what runs in one is killed, frozen and thawed together, between any two steps."""

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import Coroutine
from contextvars import Context, ContextVar
from typing import Any


class Process:
    """One process: the callbacks that are ready to run in it, and its tasks.

    `main` is the process itself. A thread of it (a heart) has a queue of its own and dies, freezes with it, but goes
    on while the loop of the process is busy.
    """

    def __init__(self, name: str, main: "Process | None" = None) -> None:
        self.name = name
        self.main = main or self
        self.threads: list[Process] = []
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.is_dead = self.is_frozen = self.is_busy = False
        self.rested: list[tuple[float, float]] = []  # when it was frozen or busy
        self.context = Context()
        self.context.run(CURRENT.set, self)

    def thread(self, name: str) -> "Process":
        """A thread of it."""
        thread = Process(f"{self.name}/{name}", self)
        self.threads.append(thread)
        return thread

    @property
    def rests(self) -> bool:
        """Whether nothing of it runs now."""
        return self.is_dead or self.is_frozen or self.is_busy

    def rested_in(self, start: float, end: float) -> float:
        """For how long at most it was stopped between two moments."""
        return sum(max(0.0, min(end, until) - max(start, since)) for since, until in self.rested)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more."""
        for each in (self, *self.threads):
            each.is_dead = True
            each.ready.clear()

    def freeze(self, frozen: bool) -> None:
        """SIGSTOP or SIGCONT."""
        for each in (self, *self.threads):
            each.is_frozen = frozen

    def bury(self) -> None:
        """Take its coroutines apart. What they would still do in a `finally` reaches nobody."""
        self.kill()
        for each in (self, *self.threads):
            while each.tasks:
                task = each.tasks.pop()
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _close(task.get_coro())
            each.ready.clear()


CURRENT: ContextVar[Process] = ContextVar("process")


def _close(coroutine: "Coroutine[Any, Any, Any] | Any") -> None:
    """Unwind it; a `finally` that awaits is unwound from there once more."""
    for _ in range(100):
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED:
            return
        with contextlib.suppress(BaseException):
            coroutine.close()
    raise AssertionError(f"{coroutine} cannot be ended")
