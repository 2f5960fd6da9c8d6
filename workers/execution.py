"""One run from its hand-off to its end: start, watch, and what a cancel or a lost lease does to it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

from dispatcher.clock import Clock
from dispatcher.errors import ServerError, WorkerGone
from dispatcher.log import get_logger
from dispatcher.models import HandOff
from dispatcher.store import Store

from .contract import Outcome, WorkerType
from .holding import Held
from .outcomes import error_result

GRACE_SECONDS = 10.0
_CANCELLED = Outcome("cancelled", "asked")
_RETURNED = Outcome("return")
_log = get_logger("worker")


class Place(NamedTuple):
    """Where a claim is executed."""

    pool: str
    worker: str


class Execution:
    """Executes runs of one worker type. `ended` is called once for each claim, on the loop."""

    def __init__(
        self, store: Store, place: Place, kind: WorkerType, clock: Clock, ended: Callable[[Held, Outcome], None]
    ) -> None:
        self._store, self._pool, self._worker = store, place.pool, place.worker
        self._kind, self._clock, self._ended = kind, clock, ended

    async def execute(self, held: Held) -> None:
        """Run it to its end; the task of this call is what a cancel order cancels."""
        try:
            run = held.run if held.run.spec else await self._fetch(held.run)
            if self._kind.auto_start:
                outcome = await self._kind.watch(run, "")
            else:
                outcome = await self._started(run, held)
        except asyncio.CancelledError as error:
            outcome = await self._cancelled(held, error)
        except Exception as error:  # noqa: BLE001 - a type may raise anything; no run is left without an end
            _log.exception("run.crashed", run_id=held.run.id)
            outcome = Outcome("crashed", "infrastructure", error_result(error))
        self._ended(held, outcome)

    async def _cancelled(self, held: Held, error: BaseException) -> Outcome:
        if held.cancel_asked:
            with contextlib.suppress(asyncio.CancelledError):  # the worker goes meanwhile
                if self._kind.auto_start:
                    await self._kind.stop(held.run, "", GRACE_SECONDS)
            return _CANCELLED
        if held.stopped:
            return _RETURNED
        return Outcome("failed", "raised", error_result(error))  # the user's code raised it

    async def _started(self, run: HandOff, held: Held) -> Outcome:
        held.infrastructure = await self._kind.start(run)
        try:
            (status,) = await self._store.workers.start(
                self._pool, self._worker, [(run.id, run.token, held.infrastructure)]
            )
            if status in ("stale", "cancelling"):
                await self._kind.stop(run, held.infrastructure, GRACE_SECONDS)
            return await self._kind.watch(run, held.infrastructure)
        except asyncio.CancelledError:
            await asyncio.shield(self._kind.stop(run, held.infrastructure, GRACE_SECONDS))
            raise
        except WorkerGone:
            await self._kind.stop(run, held.infrastructure, 0)
            return _RETURNED

    async def _fetch(self, run: HandOff) -> HandOff:
        """A spec too large to be handed off is read from the record; tried while the lease lasts."""
        while True:
            try:
                return run._replace(spec=await self._store.workers.spec(self._pool, run.id))
            except ServerError:
                await self._clock.sleep(0.2)
