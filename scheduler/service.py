"""The scheduler service: turns due times into queued runs. All replicas are active; each due run is promoted once."""

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from dispatcher.catalogue import Catalogue
from dispatcher.clock import SystemClock
from dispatcher.log import get_logger
from dispatcher.settings import Settings
from dispatcher.store import Store

from .firing import Firing
from .promotion import Promoter

_log = get_logger("scheduler")


async def serve(settings: Settings, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
    """Run until cancelled. Raises ServerError when the server is away or unfit at the start; rides it out later."""
    clock = SystemClock()
    async with Store(settings.redis_url) as store:
        await store.link.check()
        promoter = Promoter(store, clock, Firing(store, clock, settings.payload_limit))
        task_status.started()
        _log.info("scheduler.started")
        async with anyio.create_task_group() as group:
            group.start_soon(promoter.listen)
            await Catalogue(store, clock, "scheduler", promoter.promote).follow()
