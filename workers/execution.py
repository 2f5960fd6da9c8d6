"""One run from its hand-off to its end: start, watch, and what a cancel or a lost lease does to it.

A claim ends when nothing of it goes on, not before: its slots are held until then. What cannot be ended is stuck.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from dispatcher import codec
from dispatcher.clock import Clock
from dispatcher.errors import InvalidInput, ServerError, SluiceError, WorkerGone
from dispatcher.log import get_logger
from dispatcher.models import HandOff
from dispatcher.store import Store

from .assistance import Place
from .contract import CannotStart, Outcome, StillRunning, WorkerType
from .holding import Held
from .outcomes import error_result
from .server_time import ServerTime

_CANCELLED = Outcome("cancelled", "asked")
_RETURNED = Outcome("return")
LOOK_AGAIN_SECONDS = 1.0
"""How often a prepared run looks at the server's time again: its clock may be set back, and forward again."""
_log = get_logger("worker")


def _due(run: HandOff) -> int:
    """When it is due, in ms; 0 for a spec that says nothing of it, or nothing at all: its type will tell."""
    try:
        return codec.decode_spec(run.spec).at or 0
    except (InvalidInput, TypeError, ValueError):
        return 0


class Listener(NamedTuple):
    """Who hears of a session's runs, on the loop.

    `begun` comes on a run's own task, with its spec; `ended` once for each claim; `stuck` before it, when a run goes on
    and cannot be killed; `is_over` tells that nobody hears any more; `flush` waits until a run's log is written.
    """

    begun: Callable[[Held, HandOff], None]
    ended: Callable[[Held, Outcome], None]
    stuck: Callable[[], None]
    is_over: Callable[[], bool]
    flush: Callable[[HandOff], Awaitable[object]]


class Execution:
    """Executes runs of one worker type. `grace` is how long a cancelled run has to end by itself, in seconds."""

    def __init__(
        self, store: Store, place: Place, kind: WorkerType, clock: Clock, listener: Listener, *, grace: float
    ) -> None:
        self._store, self._place, self._kind, self._clock = store, place, kind, clock
        self._listener, self.grace = listener, grace
        self.time = ServerTime(clock)
        self._forgetting: set[asyncio.Task[None]] = set()

    def forget(self, run: HandOff) -> None:
        """The end of this claim is in Redis; its type may do away with what it kept."""
        task = asyncio.get_running_loop().create_task(self._kind.forget(run))
        self._forgetting.add(task)
        task.add_done_callback(self._forgotten)

    def _forgotten(self, task: "asyncio.Task[None]") -> None:
        self._forgetting.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.warning("infrastructure.left", type=self._kind.type, error=str(error))

    async def settle(self, seconds: float) -> None:
        """Give what is being done away with a moment."""
        if self._forgetting:
            await asyncio.wait(self._forgetting, timeout=seconds)

    async def execute(self, held: Held) -> None:
        """Run it to its end; the task of this call is what a cancel order cancels."""
        run = held.run
        try:
            if not run.spec:
                run = await self._fetch(run)
            self._listener.begun(held, run)
            if self._kind.auto_start:
                held.begun = True
                outcome = await self._kind.watch(run, "")
            else:
                outcome = await self._started(run, held)
        except CannotStart as error:
            outcome = error.outcome
        except StillRunning as error:
            outcome = await self._ended_for_certain(held, error.verdict)
        except asyncio.CancelledError as error:
            if held.released:
                await self._listener.flush(run)
                return
            outcome = await self._cancelled(held, error)
        except Exception as error:  # noqa: BLE001 - a type may raise anything; no run is left without an end
            _log.exception("run.crashed", run_id=held.run.id)
            outcome = Outcome("crashed", "infrastructure", error_result(error))
        held.task = None  # it is over: who cancels it now comes too late
        await self._listener.flush(run)
        self._listener.ended(held, outcome)

    async def _cancelled(self, held: Held, error: BaseException) -> Outcome:
        if not held.cancel_asked and not held.stopped:
            return Outcome("failed", "raised", error_result(error))  # the user's code raised it
        outcome = _CANCELLED if held.cancel_asked else _RETURNED
        if self._kind.auto_start:
            return await self._ended_for_certain(held, outcome)
        return outcome

    async def _ended_for_certain(self, held: Held, verdict: Outcome) -> Outcome:
        """Wait until nothing of the run goes on; past its grace it is stuck, and its worker with it.

        Being cancelled again shortens the grace, never the wait: the slot is held until the end is certain.
        """
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(self.grace):
                await self._kind.stop(held.run, "", self.grace)
        while not self._kind.is_over(held.run) and not self._listener.is_over():
            with contextlib.suppress(asyncio.CancelledError):
                if not held.is_stuck:
                    await self._report_stuck(held, verdict)
                await self._kind.stop(held.run, "", 0)
        return verdict

    async def _report_stuck(self, held: Held, verdict: Outcome) -> None:
        """Tell what shall become of it; when the server is away, it will be reclaimed like any run of a lost worker."""
        run = held.run
        _log.error("run.stuck", worker=self._place.worker, run_id=run.id, next="the worker ends with code 75")
        held.is_stuck = True
        self._listener.stuck()
        with contextlib.suppress(SluiceError):
            await self._store.workers.stuck(*self._place, (run.id, run.token), *verdict)

    async def _started(self, run: HandOff, held: Held) -> Outcome:
        if not held.announced:
            await self._until_due(run)
            held.infrastructure = await self._kind.start(run)
            held.begun = True
        try:
            if run.infrastructure and not await self._kind.adopt(run, run.infrastructure):
                return Outcome("lost", "", error_result(f"{run.infrastructure}, of an earlier worker, is not there"))
            status = "already" if held.announced else await self._announced(run, held.infrastructure)
            if status in ("stale", "cancelling"):
                await self._kind.stop(run, held.infrastructure, self.grace)
                return _CANCELLED if status == "cancelling" else _RETURNED
            held.announced = True
            return await self._kind.watch(run, held.infrastructure)
        except asyncio.CancelledError:
            await self._let_go(run, held)
            raise
        except WorkerGone:
            await self._kind.stop(run, held.infrastructure, 0)
            return _RETURNED
        except Exception:
            await self._stop_for_certain(run, held.infrastructure)
            raise

    async def _let_go(self, run: HandOff, held: Held) -> None:
        """Leave it to another worker, or stop it."""
        if held.released:
            await self._kind.release(run)
        else:
            await self._stop_for_certain(run, held.infrastructure)

    async def _until_due(self, run: HandOff) -> None:
        """A run that came before its time is prepared, and waits for it with its slots held."""
        at_ms = _due(run)
        if self.time.seconds_until(at_ms) <= 0:
            return
        await self._kind.prepare(run)
        try:
            while (left := self.time.seconds_until(at_ms)) > 0:
                await self._clock.sleep(min(left, LOOK_AGAIN_SECONDS))
        except BaseException:
            await self._kind.stop(run, "", 0)
            raise

    async def _announced(self, run: HandOff, infrastructure: str) -> str:
        """Say that it runs; while the server is away it goes on, within the lease. Raises WorkerGone."""
        while True:
            try:
                (status,) = await self._store.workers.start(*self._place, [(run.id, run.token, infrastructure)])
            except ServerError:
                await self._clock.sleep(0.2)
            else:
                return status

    async def _stop_for_certain(self, run: HandOff, infrastructure: str) -> None:
        """Stop it, however often this is cancelled meanwhile: the slot is held until the end is certain."""
        stopping = asyncio.get_running_loop().create_task(self._kind.stop(run, infrastructure, self.grace))
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)
        stopping.result()

    async def _fetch(self, run: HandOff) -> HandOff:
        """A spec too large to be handed off is read from the record; tried while the lease lasts."""
        while True:
            try:
                return run._replace(spec=await self._store.workers.spec(self._place.pool, run.id))
            except ServerError:
                await self._clock.sleep(0.2)
