"""Following the catalogue of pools: one task for each pool there is, started and ended as pools come and go."""

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from .clock import Clock
from .errors import PoolNotFound, ServerError
from .log import get_logger
from .metrics import LOOP_ERRORS, REDIS_RECONNECTS, begin_at_zero
from .store import Store

LOOK_SECONDS = 1.0
_log = get_logger("catalogue")

Work = Callable[[str], Awaitable[None]]


class Catalogue:
    """Runs `work(pool)` for every pool of the server, each in a task of its own, and starts it again when it failed."""

    def __init__(self, store: Store, clock: Clock, component: str, work: Work, only: str | None = None) -> None:
        self._store, self._clock, self._component, self._work, self._only = store, clock, component, work, only
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._is_away = False
        begin_at_zero((LOOP_ERRORS, REDIS_RECONNECTS), component=component)

    async def follow(self) -> None:
        """Run until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                await self._look(group)
                await self._clock.sleep(LOOK_SECONDS)

    async def _look(self, group: TaskGroup) -> None:
        try:
            names = set(await self._store.pools.names())
        except ServerError as error:
            _log.warning("server.away", component=self._component, error=str(error))
            self._is_away = True
            return
        if self._is_away:
            REDIS_RECONNECTS.labels(component=self._component).inc()
            self._is_away = False
        if self._only is not None:
            names &= {self._only}
        for gone in self._scopes.keys() - names:
            self._scopes.pop(gone).cancel()
        for name in names - self._scopes.keys():
            self._scopes[name] = anyio.CancelScope()
            group.start_soon(self._keep, name, self._scopes[name])

    async def _keep(self, pool: str, scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                try:
                    await self._work(pool)
                except ServerError as error:
                    _log.warning("server.away", component=self._component, pool=pool, error=str(error))
                except PoolNotFound:
                    pass
                except Exception:  # noqa: BLE001 - one pool's trouble must not end the others' duties
                    _log.exception("duty.failed", component=self._component, pool=pool)
                LOOP_ERRORS.labels(component=self._component).inc()
                await self._clock.sleep(0.5)
