"""The caretaker's duties for one pool: what needs a clock or an eye. Any number of dispatchers do them at once.

reclaim     workers whose lease ended are marked dead, their runs go back to the front of their queues;
            those that live on without a worker (containers) are left for another one to adopt
sweeps      bulk edits that were left open go on
leftovers   runs that a bounded call left unadmitted are admitted
retention   finished runs past their time are forgotten; what a cancelled tree has in other pools is cancelled there
audit       what was told is held against what there is; what is wrong is counted, and put right where that is safe
"""

import anyio

from .auditing import Auditor
from .clock import Clock
from .errors import ServerError
from .log import get_logger
from .metrics import (
    AUDIT_REBUILT,
    INTAKE_ACCEPTED,
    INTAKE_REJECTED,
    INVARIANT_VIOLATIONS,
    INVARIANTS,
    begin_at_zero,
)
from .store import Store

RETAIN_SECONDS = 5.0
AUDIT_AGAIN_SECONDS = 5.0
_log = get_logger("dispatcher")


class Caretaker:
    """Looks after pools. Every script it calls may be called by any other dispatcher at the same time."""

    def __init__(self, store: Store, clock: Clock, tick_seconds: float, name: str) -> None:
        """`name`: this dispatcher's own, for its turns at the audit."""
        self._store, self._clock, self._tick, self._name = store, clock, tick_seconds, name

    async def look_after(self, pool: str) -> None:
        """All duties for a pool, until cancelled. Raises ServerError."""
        begin_at_zero((INTAKE_ACCEPTED, INTAKE_REJECTED, AUDIT_REBUILT), pool=pool)
        for invariant in INVARIANTS:
            begin_at_zero((INVARIANT_VIOLATIONS,), pool=pool, invariant=invariant)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch, pool)
                group.start_soon(self._forget, pool)
                group.start_soon(self._audit, pool)
        except* ServerError as failures:
            away = failures.exceptions[0]
        else:
            return
        raise away

    async def _watch(self, pool: str) -> None:
        while True:
            tick = await self._store.care.tick(pool)
            if tick.lost:
                _log.warning("worker.lost", pool=pool, workers=tick.lost)
            if tick.taken_back:
                _log.warning("run.reclaimed", pool=pool, runs=tick.taken_back)
            if tick.orphaned:
                _log.warning("run.orphaned", pool=pool, runs=tick.orphaned)
            if tick.unconfirmed:
                _log.warning("run.unconfirmed", pool=pool, runs=tick.unconfirmed)
            if not tick.more:
                await self._clock.sleep(self._tick)

    async def _forget(self, pool: str) -> None:
        while True:
            retained = await self._store.care.retain(pool)
            if retained.abroad:  # whoever cancelled the tree died, or may not reach those pools
                await self._store.runs.cancel_abroad(pool)
            await self._clock.sleep(0.02 if retained.more else RETAIN_SECONDS)

    async def _audit(self, pool: str) -> None:
        """Keys are looked at by whoever has the turn; pools take turns among dispatchers."""
        auditor = Auditor(self._store.audit, pool, self._name, self._clock)
        while True:
            try:
                pause = await auditor.step()
            except ServerError as error:  # what else it looks after goes on
                _log.warning("audit.failed", pool=pool, error=str(error), retry_in=AUDIT_AGAIN_SECONDS)
                pause = AUDIT_AGAIN_SECONDS
            for found in auditor.violations:
                INVARIANT_VIOLATIONS.labels(pool=pool, invariant=found.invariant).inc()
                _log.error(
                    "invariant.violated", pool=pool, invariant=found.invariant, word=found.word, meaning=str(found)
                )
            if auditor.rebuilt:
                AUDIT_REBUILT.labels(pool=pool).inc()
            await self._clock.sleep(pause)
