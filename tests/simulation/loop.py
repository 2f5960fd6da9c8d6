"""An event loop in virtual time: no thread, no socket, no clock. The order in which processes run is the seed's.

Inside a process callbacks run in their order, as asyncio does it; between processes chance decides, and time goes on
only when nothing is left to do: it jumps to the next timer.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from random import Random
from typing import Any

from .processes import CURRENT, Process


class _Task(asyncio.Task[Any]):
    """A task with a hash of its own number: sets of tasks have the same order in each replay."""

    def __init__(self, number: int, coro: "Coroutine[Any, Any, Any]", **words: Any) -> None:
        self._number = number
        super().__init__(coro, **words)

    def __hash__(self) -> int:
        return self._number


class _Future(asyncio.Future[Any]):
    """A future with a hash of its own number."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class Loop(asyncio.AbstractEventLoop):
    """Runs until told; everything else is as asyncio's loops have it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._now = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count(1)
        self._waiting: list[Process] = []  # with something to run
        self.world = Process("world")
        self.complaints: list[str] = []
        self.steps = 0

    # What asyncio asks of a loop -------------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        """There is none."""

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._put(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """From a thread of a process into its loop."""
        if context is None:
            context = copy_context()
            context.run(CURRENT.set, context.get(CURRENT, self.world).main)
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        return _Future(next(self._numbers), self)

    def create_task(
        self, coro: "Coroutine[Any, Any, Any] | Any", *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        task = _Task(next(self._numbers), coro, loop=self, name=name or "task", context=context)
        process = (context or copy_context()).get(CURRENT, self.world)
        process.tasks.append(task)
        if len(process.tasks) > 64:
            process.tasks[:] = [known for known in process.tasks if not known.done()]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    # Running ---------------------------------------------------------------------------------------------------------

    def spawn(self, process: Process, coroutine: "Coroutine[Any, Any, Any]") -> "asyncio.Task[Any]":
        """Begin something in a process."""
        return self.create_task(coroutine, context=process.context.copy())

    def run_until(self, is_over: Callable[[], object], limit: float) -> None:
        """Until the condition holds, at the latest until `limit`."""
        asyncio.events._set_running_loop(self)
        try:
            while not is_over():
                if not self._step(limit):
                    return
        finally:
            asyncio.events._set_running_loop(None)

    def wake(self, process: Process) -> None:
        """It goes on with what is ready."""
        for each in (process, *process.threads):
            if each.ready and each not in self._waiting:
                self._waiting.append(each)

    def _put(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(CURRENT, self.world)  # type: ignore[attr-defined]
        if process.is_dead:
            return
        process.ready.append(handle)
        if len(process.ready) == 1:
            self._waiting.append(process)

    def _step(self, limit: float) -> bool:
        while not self._waiting:
            if not self._timers or self._timers[0][0] > limit:
                self._now = max(self._now, limit)
                return False
            when, _, timer = heapq.heappop(self._timers)
            if not timer._cancelled:  # type: ignore[attr-defined]
                self._now = max(self._now, when)
                self._put(timer)
        index = self._random.randrange(len(self._waiting)) if len(self._waiting) > 1 else 0
        process = self._waiting[index]
        if not process.ready or process.rests:
            del self._waiting[index]
            return True
        handle = process.ready.popleft()
        if not process.ready:
            del self._waiting[index]
        self.steps += 1
        if not handle._cancelled:  # type: ignore[attr-defined]
            handle._run()  # type: ignore[attr-defined]
        return True
