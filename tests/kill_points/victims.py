"""What runs in the processes of these tests: services, workers, a client's errands, and whatever heals afterwards."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

import dispatcher.service
import scheduler.service
from dispatcher.settings import read_settings
from workers import FunctionWorker, Worker, WorkerOptions
from workers.worker import run_worker

from .boxes import Boxes
from .errands import client, terminal
from .functions import deaf, functions

OPTIONS = WorkerOptions(lease=2.0, limit=4, grace=20)
HASTY = WorkerOptions(lease=2.0, limit=4, grace=0, cancel_grace=0.2)


def _at_sigterm() -> anyio.Event:
    over = anyio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    return over


async def _work(url: str, over: anyio.Event) -> None:
    async with Worker(url, FunctionWorker(functions), OPTIONS) as worker:
        await run_worker(worker, over)


async def _work_with_boxes(url: str, over: anyio.Event) -> None:
    async with Worker(url, Boxes(url), HASTY) as worker:
        await run_worker(worker, over)


async def worker(url: str) -> None:
    """A worker that leaves at SIGTERM."""
    await _work(url, _at_sigterm())


async def boxes(url: str) -> None:
    """A worker that leaves its infrastructure behind at SIGTERM."""
    await _work_with_boxes(url, _at_sigterm())


async def stuck(url: str) -> None:
    """A worker whose plain functions cannot be ended: it ends by itself."""
    deaf.set()
    async with Worker(url, FunctionWorker(functions), HASTY) as worker:
        await run_worker(worker, _at_sigterm())


async def serve_dispatcher(url: str) -> None:
    """A dispatcher, ticking every 50 ms."""
    await dispatcher.service.serve(read_settings({"redis_url": url, "tick_ms": 50}))


async def serve_scheduler(url: str) -> None:
    """A scheduler."""
    await scheduler.service.serve(read_settings({"redis_url": url}))


async def keepers(url: str) -> None:
    """A dispatcher and a scheduler, until SIGTERM."""
    over = _at_sigterm()
    async with anyio.create_task_group() as group:
        group.start_soon(serve_dispatcher, url)
        group.start_soon(serve_scheduler, url)
        await over.wait()
        group.cancel_scope.cancel()


async def everybody(work: Callable[[str, anyio.Event], Awaitable[None]], url: str) -> None:
    """The same with a worker, and another one when that is sent away; they end at SIGTERM, when it has left."""
    over = _at_sigterm()
    async with anyio.create_task_group() as group:
        group.start_soon(serve_dispatcher, url)
        group.start_soon(serve_scheduler, url)
        while not over.is_set():
            await work(url, over)
        group.cancel_scope.cancel()


VICTIMS = {
    "worker": worker,
    "boxes": boxes,
    "stuck": stuck,
    "dispatcher": serve_dispatcher,
    "scheduler": serve_scheduler,
    "client": client,
    "terminal": terminal,
    "keepers": keepers,
    "everybody": partial(everybody, _work),
    "everybody with boxes": partial(everybody, _work_with_boxes),
}


def run(name: str, url: str) -> None:
    """Be one of them."""
    asyncio.run(VICTIMS[name](url))
