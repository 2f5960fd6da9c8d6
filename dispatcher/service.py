"""The dispatcher service: looks after every pool and takes in what is published by XADD. Any number of replicas."""

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from .caretaker import Caretaker
from .catalogue import Catalogue
from .clock import SystemClock
from .ids import RunIds
from .intake import Intake
from .loading import ScriptLoading
from .log import get_logger
from .settings import Settings
from .store import Store

_log = get_logger("dispatcher")


async def serve(settings: Settings, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
    """Run until cancelled. Raises ServerError when the server is away or unfit at the start; rides it out later."""
    clock = SystemClock()
    async with Store(settings.redis_url) as store, Store(settings.redis_url) as publishing:
        for warning in await store.link.check():
            _log.warning("server.unsafe", warning=warning)
        caretaker = Caretaker(store, clock, settings.tick_ms / 1000, RunIds(clock).new())
        loading = ScriptLoading(store.link, clock)
        await loading.look()
        task_status.started()
        _log.info("dispatcher.started")
        async with anyio.create_task_group() as group:
            group.start_soon(loading.keep)
            group.start_soon(Intake(publishing, clock, settings.payload_limit).serve)
            await Catalogue(store, clock, "dispatcher", caretaker.look_after).follow()
