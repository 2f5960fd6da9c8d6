"""The function worker: runs name a registered function; async ones run on the loop, plain ones in threads."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

import anyio.to_thread
from anyio import CapacityLimiter

from dispatcher import codec
from dispatcher.clock import Clock, SystemClock
from dispatcher.errors import InvalidInput
from dispatcher.models import HandOff
from dispatcher.running import enter

from .app import load_functions
from .claims import ClaimView
from .contract import Outcome, StillRunning, WorkerType
from .functions import Functions, Handler
from .isolation import Isolation
from .outcomes import error_result, failure, finished

_TRACEPARENT = codec.SPEC_FIELDS.index("traceparent")


class FunctionWorker(WorkerType):
    """Executes registered functions. A run that was lost before gets a child process, where only it can die."""

    type = "function"
    auto_start = True

    def __init__(
        self,
        functions: Functions,
        isolation: Isolation | None = None,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` in [0, 1) spreads retries."""
        self._functions = functions
        self._chance = chance
        self._isolation = isolation
        self._clock = clock or SystemClock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: CapacityLimiter | None = None
        self._abandoned: dict[tuple[str, str], Future[None]] = {}

    @classmethod
    def for_app(cls, app: str | None, app_dir: str) -> Self:
        """With the functions of an application, which children import again. Raises InvalidInput."""
        if not app:
            raise InvalidInput("a function worker needs --app package.module:attribute, e.g. --app tasks:functions")
        return cls(load_functions(app, app_dir), Isolation(app, app_dir))

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:  # noqa: ARG002 - there is none
        """Call the function and say how it ended; raises CancelledError when it was cancelled."""
        try:
            row = codec.unpack(run.spec)
            size = len(row)
            name = row[0]
            parameters = (row[1] or {}) if size > 1 else {}
            retry = row[2] if size > 2 else None
            timeout = row[3] if size > 3 else None
            trace = row[_TRACEPARENT] if size > _TRACEPARENT else None
        except (InvalidInput, LookupError, TypeError) as error:
            return Outcome("failed", "invalid_parameters", error_result(str(error)))
        if run.crashes and self._isolation:
            services = self._services(run)
            return await self._isolation.execute(run, name, parameters, retry, timeout, trace=trace, services=services)
        handler = self._functions.get(name)
        if handler is None:
            return Outcome("failed", "not_registered", error_result(self._unknown(name)))
        return await self._attempt(run, handler, parameters, retry, timeout, trace=trace)

    async def _attempt(
        self, run: HandOff, handler: Handler, parameters: dict[str, Any], retry: list[Any] | None,
        timeout: float | None, *, trace: str | None,
    ) -> Outcome:  # fmt: skip
        try:
            args, kwargs = handler.arguments(parameters)
        except InvalidInput as error:
            return Outcome("failed", "invalid_parameters", error_result(str(error)))
        view = self._enter(run, parameters, timeout, trace)
        limit = asyncio.timeout(timeout) if timeout is not None else None
        try:
            if limit:
                async with limit:
                    result = await self._call(run, view, handler, args, kwargs)
            elif handler.is_async:
                result = await handler.function(*args, **kwargs)
            else:
                result = await self._call(run, view, handler, args, kwargs)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if limit and limit.expired():
                late = failure(retry, run.attempt, "timed_out", _late(timeout), self._chance)
                if self.is_over(run):
                    return late
                raise StillRunning(late) from error
            return failure(retry, run.attempt, "raised", error, self._chance)
        return finished(result)

    def _enter(self, run: HandOff, parameters: dict[str, Any], timeout: float | None, trace: str | None) -> ClaimView:
        """Make it the run of this task, for `dispatcher.context`."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        deadline = None if timeout is None else self._clock.now_ms() + round(1000 * timeout)
        view = ClaimView(run, parameters, deadline, self._services, self._loop, traceparent=trace)
        enter(view)
        return view

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:  # noqa: ARG002 - nothing can be killed
        """Wait for the run's thread, which cannot be killed: it was told by `context.is_cancelled`."""
        if thread := self._abandoned.get((run.id, run.token)):
            await asyncio.shield(asyncio.wrap_future(thread))

    def is_over(self, run: HandOff) -> bool:
        """Whether the run's thread is over."""
        return (run.id, run.token) not in self._abandoned

    async def _call(
        self, run: HandOff, view: ClaimView, handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if handler.is_async:
            return await handler.function(*args, **kwargs)
        if self._threads is None:
            self._threads = CapacityLimiter(10_000)  # the worker's capacity is the limit; threads follow it
        thread: Future[None] = Future()

        def call() -> Any:
            if not thread.set_running_or_notify_cancel():
                return None
            try:
                return handler.function(*args, **kwargs)
            finally:
                thread.set_result(None)

        try:
            return await anyio.to_thread.run_sync(call, limiter=self._threads)
        except asyncio.CancelledError:
            view.cancel()
            if not thread.cancel():  # it began
                self._abandoned[run.id, run.token] = thread
                thread.add_done_callback(lambda _: self._abandoned.pop((run.id, run.token), None))
            raise

    def _unknown(self, name: object) -> str:
        return f"no function {name!r} is registered here; known: {', '.join(self._functions.names()) or 'none'}"


def _late(timeout: float | None) -> str:
    return f"ran longer than its timeout of {timeout or 0:g} s"
