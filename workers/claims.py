"""The run context of functions in this process: made for each claim, filled in when the code first asks."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dispatcher.models import HandOff
from dispatcher.running import RunView

from .services import RunServices

if TYPE_CHECKING:
    from concurrent.futures import Future


class LoopBackend:
    """The way from a function to its worker: calls run on the worker's loop, whatever thread they come from."""

    def __init__(self, services: RunServices, loop: asyncio.AbstractEventLoop) -> None:
        self._services, self._loop = services, loop

    def tell(self, verb: str, *words: Any) -> None:
        """As RunServices.tell."""
        self._services.tell(verb, *words)

    def ask(self, verb: str, *words: Any) -> "Future[Any]":
        """As RunServices.ask."""
        return asyncio.run_coroutine_threadsafe(self._services.ask(verb, *words), self._loop)


class ClaimView:
    """Makes the RunView of a claim at its first use: most functions never ask for it."""

    __slots__ = ("_deadline_ms", "_loop", "_parameters", "_run", "_services", "_traceparent", "_view", "is_cancelled")

    def __init__(
        self, run: HandOff, parameters: Mapping[str, Any], deadline_ms: int | None,
        services: Callable[[HandOff], RunServices], loop: asyncio.AbstractEventLoop, *,
        traceparent: str | None,
    ) -> None:  # fmt: skip
        self._run, self._parameters, self._deadline_ms = run, parameters, deadline_ms
        self._services, self._loop, self._traceparent = services, loop, traceparent
        self._view: RunView | None = None
        self.is_cancelled = False

    def __call__(self) -> RunView:
        """The view; the same one each time."""
        if self._view is None:
            run, services = self._run, self._services(self._run)
            self._view = RunView(
                run.id, services.pool, int(run.token or 0), run.attempt, self._parameters, self._deadline_ms,
                LoopBackend(services, self._loop), self._traceparent,
            )  # fmt: skip
            if self.is_cancelled:
                self._view.cancelled.set()
        return self._view

    def cancel(self) -> None:
        """Let the code see that it is asked to end."""
        self.is_cancelled = True
        if self._view:
            self._view.cancelled.set()
