"""What runs in the processes of these tests: services, a worker, a client's errand, and whatever heals afterwards."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable
from functools import partial

import anyio

import dispatcher.service
import scheduler.service
from dispatcher import Client, Publish, context
from dispatcher.errors import Conflict, NotFound
from dispatcher.settings import read_settings
from workers import Functions, FunctionWorker, Worker, WorkerOptions
from workers.worker import run_worker

LEASE = 2.0
IDS = tuple(f"run-{number:028d}" for number in range(16))
functions = Functions()


@functions.register
async def quick() -> str:
    """Return at once."""
    return context.run_id


@functions.register
async def chatty() -> None:
    """Write its log and tell its progress, for as long as both are handed on now and then."""
    context.logger.info("here")
    context.progress(0.5, "half")
    await asyncio.sleep(0.8)
    context.logger.info("there")


@functions.register
async def flaky() -> None:
    """Fail, whatever the attempt."""
    raise ValueError(context.attempt)


@functions.register
async def child() -> int:
    """Take longer than its parent waits with its slots kept."""
    await asyncio.sleep(0.2)
    return 1


@functions.register
async def parent() -> int:
    """Wait for a child, without slots meanwhile."""
    return await context.result(await context.publish("child"), 60)


@functions.register
async def endless() -> None:
    """Go on until it is cancelled."""
    await asyncio.sleep(600)


async def worker(url: str) -> None:
    """A worker that leaves at SIGTERM."""
    drain = anyio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, drain.set)
    async with Worker(url, FunctionWorker(functions), WorkerOptions(lease=LEASE, limit=4, grace=20)) as found:
        await run_worker(found, drain)


async def serve_dispatcher(url: str) -> None:
    """A dispatcher, ticking every 50 ms."""
    await dispatcher.service.serve(read_settings({"redis_url": url, "tick_ms": 50}))


async def serve_scheduler(url: str) -> None:
    """A scheduler."""
    await scheduler.service.serve(read_settings({"redis_url": url}))


async def keepers(url: str) -> None:
    """A dispatcher and a scheduler, until SIGTERM."""
    over = anyio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with anyio.create_task_group() as group:
        group.start_soon(serve_dispatcher, url)
        group.start_soon(serve_scheduler, url)
        await over.wait()
        group.cancel_scope.cancel()


async def everybody(url: str) -> None:
    """The same with a worker; they end when it has left."""
    async with anyio.create_task_group() as group:
        group.start_soon(serve_dispatcher, url)
        group.start_soon(serve_scheduler, url)
        await worker(url)
        group.cancel_scope.cancel()


async def client(url: str) -> None:
    """An errand that may be begun again from its start, wherever it was broken off."""
    async with Client(url) as client:
        await _administer(client)
        await client.publish("quick", run_id=IDS[0], keys=("tenant:1",), idempotency_key="once")
        await client.publish_many([Publish("quick", None, {"run_id": run_id}) for run_id in IDS[1:4]])
        await client.publish("quick", run_id=IDS[4], delay=3600)
        await client.cancel(IDS[4])
        assert await client.result(IDS[0], 60) == IDS[0]
        await _deploy(client)
        await client.retry(IDS[4])
        assert [line async for line in client.logs(IDS[0])] == []
        await _tidy(client)


async def _administer(client: Client) -> None:
    for pool in ("default", "other", "brief"):
        await client.pools.create(pool, if_missing=True)
    await _unless(Conflict, client.queues.create("reports", priority=7))
    await client.limits.set("tenant:*", 1)
    await client.intake.publishers.add("outside")
    await client.pools.autoscale("default")


async def _deploy(client: Client) -> None:
    far = {"id": "far", "at": "2060-01-01T00:00:00Z"}
    await _unless(Conflict, client.deploy("nightly", function="quick", schedules=[far]))  # it has moved
    if (await client.deployments.get("nightly")).pool == "default":
        await client.deployments.run("nightly", run_id=IDS[5])
        await client.deployments.move("nightly", "other")
    await client.deployments.delete("nightly")


async def _tidy(client: Client) -> None:
    await _unless(NotFound, client.intake.publishers.remove("outside"))
    await client.limits.clear("tenant:*")
    await _unless(NotFound, client.queues.delete("reports", cancel=True))
    await _unless(NotFound, client.pools.delete("brief"))


async def _unless(known: type[Exception], call: Awaitable[object]) -> None:
    """It was done already when this errand was broken off."""
    with contextlib.suppress(known):
        await call


VICTIMS = {
    "worker": worker,
    "dispatcher": serve_dispatcher,
    "scheduler": serve_scheduler,
    "client": client,
    "keepers": keepers,
    "everybody": everybody,
}


def run(name: str, url: str) -> None:
    """Be one of them."""
    asyncio.run(partial(VICTIMS[name], url)())
