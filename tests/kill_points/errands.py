"""Errands of a client: each may be begun again from its start, wherever it was broken off."""

import contextlib
from collections.abc import Awaitable

from dispatcher import Client, Publish
from dispatcher.errors import Conflict, NotFound
from tests.support.waiting import wait_until

from .functions import IDS

PATIENCE = 60


async def client(url: str) -> None:
    """What programs and their administrators ask for."""
    async with Client(url) as client:
        await _administer(client)
        await client.publish("quick", run_id=IDS[0], keys=("tenant:1",), idempotency_key="once")
        await client.publish_many([Publish("quick", None, {"run_id": run_id}) for run_id in IDS[1:4]])
        await client.publish("quick", run_id=IDS[4], delay=3600)
        await client.cancel(IDS[4])
        assert await client.result(IDS[0], PATIENCE) == IDS[0]
        await _deploy(client)
        await client.retry(IDS[4])
        assert [line async for line in client.logs(IDS[0])] == []
        await _tidy(client)


async def terminal(url: str) -> None:
    """What somebody at a terminal sees to: a tree of runs, rejected entries, a worker that is to go."""
    async with Client(url) as client:
        await client.cancel(IDS[1], children=True)
        rejected = [entry.id for entry in await client.intake.rejected.list()]
        await client.intake.rejected.retry(*rejected)
        await wait_until(lambda: _is_there(client), description="the entry is a run", timeout=PATIENCE, interval=0.05)
        assert await client.result(IDS[0], PATIENCE) == IDS[0]
        await client.publish("quick", run_id=IDS[2], durability="fsync")
        await _send_away(client)


async def _is_there(client: Client) -> bool:
    try:
        await client.get(IDS[0])
    except NotFound:
        return False
    return True


async def _send_away(client: Client) -> None:
    workers = await wait_until(client.workers.list, description="a worker is there", timeout=PATIENCE, interval=0.05)
    with contextlib.suppress(NotFound):  # it went meanwhile, for it was asked before
        await client.workers.drain(workers[0].id)

    async def is_gone() -> bool:
        return workers[0].id not in {worker.id for worker in await client.workers.list()}

    await wait_until(is_gone, description="the worker has left", timeout=PATIENCE, interval=0.05)


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
