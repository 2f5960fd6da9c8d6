"""What is due in one pool, runs and schedules: a timer to the next due time, and a bell for anything earlier."""

import anyio

from dispatcher.clock import Clock
from dispatcher.errors import ServerError
from dispatcher.log import get_logger
from dispatcher.metrics import RUNS_PROMOTED, SCHEDULE_DELAY, SCHEDULES_FIRED, SCHEDULES_MISSED, begin_at_zero
from dispatcher.store import Store

from .firing import Firing

LONGEST_WAIT = 30.0
"""Seconds; the timer is local, so a clock that was set is noticed after this long at the latest."""
_log = get_logger("scheduler")


class Promoter:
    """Promotes due runs of a pool and lets its schedules act. Scripts compare with the server's clock: never early."""

    def __init__(self, store: Store, clock: Clock, firing: Firing) -> None:
        self._store, self._clock, self._firing = store, clock, firing
        self._bells: dict[str, anyio.Event] = {}

    async def promote(self, pool: str) -> None:
        """Run until cancelled. Raises ServerError."""
        bell = self._bells[pool] = anyio.Event()
        begin_at_zero((RUNS_PROMOTED, SCHEDULE_DELAY, SCHEDULES_FIRED, SCHEDULES_MISSED), pool=pool)
        try:
            while True:
                scheduled = await self._firing.fire_due(pool)
                wait = min(await self._promote_due(pool), LONGEST_WAIT if scheduled is None else scheduled)
                with anyio.move_on_after(wait):
                    await bell.wait()
                bell = self._bells[pool] = anyio.Event()
        finally:
            self._bells.pop(pool, None)

    async def _promote_due(self, pool: str) -> float:
        while True:
            found = await self._store.care.promote(pool)
            if found.promoted:
                RUNS_PROMOTED.labels(pool=pool).inc(found.promoted)
                SCHEDULE_DELAY.labels(pool=pool).observe(found.late_ms / 1000)
            if not found.more:
                return LONGEST_WAIT if found.wait_ms is None else min(LONGEST_WAIT, found.wait_ms / 1000)

    async def listen(self) -> None:
        """Wake the promoters of pools whose bell rings; run until cancelled."""
        last: dict[str, str] = {}
        while True:
            for pool in self._bells:
                last.setdefault(pool, "0-0")  # not `$`: a bell between two reads would be missed
            for pool in last.keys() - self._bells.keys():
                del last[pool]
            await self._hear(last)

    async def _hear(self, last: dict[str, str]) -> None:
        if not last:
            await self._clock.sleep(0.05)
            return
        try:
            rung = await self._store.care.wait_bells(last)
        except ServerError as error:
            _log.warning("server.away", component="scheduler", error=str(error))
            await self._clock.sleep(0.5)
            rung = set(self._bells)  # a bell may have rung meanwhile
        for pool in rung:
            if bell := self._bells.get(pool):
                bell.set()
