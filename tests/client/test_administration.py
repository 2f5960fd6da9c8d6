"""Pools, queues, limits: what they hold, and that a change acts at once on what is admitted after it."""

import anyio
import pytest
import redis

from dispatcher import Client, InvalidInput, PoolNotFound, QueueNotFound, RunState
from dispatcher.errors import PoolExists, PoolHoldsRuns, QueueDeleting, QueueExists, QueueHoldsRuns, WorkerNotFound
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions


class Gated:
    """Functions whose runs go on until `gate` is set; a worker of them takes whatever it may."""

    def __init__(self) -> None:
        self.functions, self.gate = Functions(), anyio.Event()
        self.functions.register(self.hold)

    async def hold(self) -> None:
        await self.gate.wait()


async def running(client: Client, number: int, **where: str) -> None:
    """Wait until so many runs hold a slot."""

    async def hold() -> bool:
        return len(await client.pools.slots("default", **where)) == number

    await wait_until(hold, description=f"{number} slots are held {where}")


async def test_pools_are_created_changed_and_listed(stack: Stack) -> None:
    client = stack.client
    await client.pools.create("gpu", limit=4, description="the big ones", retention_ms=60_000, crashes=2)
    pool = await client.pools.get("gpu")
    assert (pool.name, pool.type, pool.limit, pool.paused, pool.description) == (
        "gpu",
        "function",
        4,
        False,
        "the big ones",
    )
    assert (pool.retention_ms, pool.crash_budget) == (60_000, 2)
    await client.pools.update("gpu", limit=None, description="")
    pool = await client.pools.get("gpu")
    assert (pool.limit, pool.description, pool.crash_budget) == (None, "", 2)
    assert [pool.name for pool in await client.pools.list()] == ["default", "gpu"]
    with pytest.raises(PoolExists, match="type function"):
        await client.pools.create("gpu")
    assert not await client.pools.create("gpu", if_missing=True)
    with pytest.raises(PoolExists):
        await client.pools.create("gpu", type="process", if_missing=True)
    with pytest.raises(PoolNotFound, match="sluice pool create nowhere"):
        await client.pools.update("nowhere", limit=1)
    with pytest.raises(PoolNotFound):
        await client.pools.get("nowhere")


async def test_queues_are_made_on_first_use_with_the_first_free_priority(stack: Stack) -> None:
    client = stack.client
    for queue in ("a", "b", "c"):
        await client.publish("f", queue=queue)
    await client.queues.create("shared", priority=2, limit=3, description="beside a")
    assert [(queue.name, queue.priority) for queue in await client.queues.list()] == [
        ("default", 1), ("a", 2), ("shared", 2), ("b", 3), ("c", 4),
    ]  # fmt: skip
    await client.queues.delete("b", cancel=True)
    await client.publish("f", queue="d")
    assert (await client.queues.get("d")).priority == 3
    await client.queues.update("d", priority=9)
    await client.publish("f", queue="e")
    assert (await client.queues.get("e")).priority == 3
    shared = await client.queues.get("shared")
    assert (shared.limit, shared.description, shared.queued) == (3, "beside a", 0)
    with pytest.raises(QueueExists):
        await client.queues.create("a")
    with pytest.raises(QueueNotFound):
        await client.queues.update("nowhere", limit=1)
    with pytest.raises(PoolNotFound):
        await client.queues.create("a", pool="nowhere")


@pytest.mark.fault(33)
async def test_a_queue_that_holds_runs_is_deleted_when_told_what_to_do_with_them(stack: Stack) -> None:
    client, gated = stack.client, Gated()
    await stack.worker(gated.functions, queues=("q",), limit=1)
    runs = [await client.publish("hold", queue="q") for _ in range(3)]
    later = await client.publish("hold", queue="q", delay=3600)
    beside = await client.publish("hold", queue="other")
    await running(client, 1, queue="q")
    with pytest.raises(InvalidInput, match="'default' cannot be deleted"):
        await client.queues.delete("default")
    with pytest.raises(QueueHoldsRuns, match="2 queued, 1 scheduled and 1 running") as caught:
        await client.queues.delete("q")
    assert (caught.value.queued, caught.value.scheduled, caught.value.running) == (2, 1, 1)
    assert (await client.queues.get("q")).queued == 2

    async def delete() -> bool:
        try:
            await client.queues.delete("q", cancel=True)
        except QueueHoldsRuns as error:
            assert (error.queued, error.scheduled, error.running) == (0, 0, 1)
            with pytest.raises(QueueDeleting):
                await client.publish("hold", queue="q")
            return False
        return True

    await wait_until(delete, description="the queue is deleted")
    states = {(run.state, run.reason) for run in [await client.get(run) for run in (*runs, later)]}
    assert states <= {(RunState.CANCELLED, "queue_deleted"), (RunState.CANCELLED, "asked")}
    assert [queue.name for queue in await client.queues.list()] == ["default", "other"]
    assert (await client.get(beside)).state is RunState.QUEUED
    with pytest.raises(QueueNotFound):
        await client.queues.delete("q")
    assert (await client.publish("hold", queue="q")).is_new


@pytest.mark.fault(33)
async def test_a_pool_that_holds_runs_or_workers_is_not_deleted(stack: Stack) -> None:
    client, gated = stack.client, Gated()
    await client.publish("hold")
    await client.publish("hold", delay=3600, queue="q")
    with pytest.raises(PoolHoldsRuns, match="1 queued, 1 scheduled and 0 running"):
        await client.pools.delete("default")
    worker = await stack.worker(gated.functions)
    await running(client, 1)
    await wait_until(lambda: deleted(client, expected=PoolHoldsRuns), description="the worker has no runs")
    with pytest.raises(PoolHoldsRuns, match="1 live workers"):
        await client.pools.delete("default")
    await client.workers.drain(worker.id)
    await wait_until(lambda: deleted(client), description="the pool is deleted")
    with pytest.raises(PoolNotFound):
        await client.publish("hold")
    with pytest.raises(PoolNotFound):
        await client.pools.delete("default")
    with redis.Redis.from_url(stack.url) as connection:
        forever = [key for key in connection.keys("sluice:*") if connection.ttl(key) == -1]
    assert forever == []


async def deleted(client: Client, expected: type[Exception] | None = None) -> bool:
    """Whether deleting with its runs works; with `expected`, whether it fails for its workers alone."""
    try:
        await client.pools.delete("default", cancel=True)
    except PoolHoldsRuns as error:
        return expected is PoolHoldsRuns and error.queued + error.scheduled + error.running == 0
    return expected is None


@pytest.mark.fault(32)
async def test_limits_act_at_once_in_every_scope(stack: Stack) -> None:
    client, gated = stack.client, Gated()
    await client.pools.update("default", limit=1)
    await client.queues.create("q", limit=3)
    await client.limits.set("tenant:*", 2)
    await stack.worker(gated.functions, limit=50)
    runs = [await client.publish("hold", queue="q", keys=[f"tenant:{n % 3}"]) for n in range(18)]
    await running(client, 1)
    await client.pools.update("default", limit=2)
    await running(client, 2)
    await client.pools.update("default", limit=None)
    await running(client, 3)
    await client.queues.update("q", limit=None)
    await running(client, 6)
    await client.limits.set("tenant:1", 4)
    await running(client, 8)
    await running(client, 4, key="tenant:1")
    await client.limits.clear("tenant:1")
    await client.limits.set("tenant:*", 1)
    assert len(await client.pools.slots("default")) == 8  # lowering never kills
    await client.cancel(*(slot.run_id for slot in await client.pools.slots("default", key="tenant:1")))
    await running(client, 1, key="tenant:1")  # three left, none was started before that, then one
    assert [(limit.key, limit.limit) for limit in await client.limits.list()] == [("tenant:*", 1)]
    await client.limits.clear("tenant:*")
    gated.gate.set()
    await wait_until(lambda: all_over(client, runs), description="all runs are over")
    await running(client, 0)


async def all_over(client: Client, runs: list[object]) -> bool:
    return all([(await client.get(run)).state.is_terminal for run in runs])


@pytest.mark.fault(32)
async def test_pausing_stops_admission_and_nothing_else(stack: Stack) -> None:
    client, gated = stack.client, Gated()
    await stack.worker(gated.functions, limit=1)
    first = await client.publish("hold")
    await running(client, 1)
    await client.pools.pause("default")
    second = await client.publish("hold")
    await client.queues.create("q", paused=True)
    third = await client.publish("hold", queue="q")
    gated.gate.set()
    await client.result(first, timeout=5)
    assert (await client.get(second)).state is RunState.QUEUED
    await client.pools.resume("default")
    await client.result(second, timeout=5)
    assert (await client.get(third)).state is RunState.QUEUED
    assert (await client.queues.get("q")).paused
    await client.queues.resume("q")
    await client.result(third, timeout=5)


async def test_a_changed_priority_reorders_what_waits(stack: Stack) -> None:
    client, order = stack.client, []
    functions = Functions()

    @functions.register
    async def note(queue: str) -> None:
        order.append(queue)

    await client.pools.pause("default")
    for queue in ("first", "second", "third"):
        for _ in range(3):
            await client.publish("note", {"queue": queue}, queue=queue)
    await client.queues.update("third", priority=1)
    await client.queues.update("first", priority=7)
    await stack.worker(functions, limit=1)
    await client.pools.resume("default")
    await wait_until(lambda: len(order) == 9, description="all have run")
    assert order == ["third"] * 3 + ["second"] * 3 + ["first"] * 3


async def test_slots_name_their_holders(stack: Stack) -> None:
    client, gated = stack.client, Gated()
    worker = await stack.worker(gated.functions)
    run = await client.publish("hold", queue="q", keys=["tenant:7"])
    await running(client, 1)
    for where in ({}, {"queue": "q"}, {"key": "tenant:7"}):
        (slot,) = await client.pools.slots("default", **where)
        assert (slot.run_id, slot.queue, slot.worker, slot.state) == (run.id, "q", worker.id, "running")
    assert await client.pools.slots("default", queue="default") == []
    gated.gate.set()


async def test_workers_are_seen(stack: Stack) -> None:
    import os

    client, gated = stack.client, Gated()
    worker = await stack.worker(gated.functions, name="box", limit=7, queues=("q",), match=("etl-*",), labels=("gpu",))
    run = await client.publish("hold", queue="etl-1")
    await running(client, 1)
    (seen,) = await client.workers.list()
    assert seen == await client.workers.get(worker.id)
    assert (seen.name, seen.state, seen.capacity, seen.held, seen.runs) == ("box", "online", 7, 1, (run.id,))
    assert (seen.lane, seen.type, seen.pid) == ("etl-*,q|gpu|", "function", os.getpid())
    assert (await client.pools.get("default")).workers == 1
    gated.gate.set()
    with pytest.raises(WorkerNotFound, match="sluice worker ls"):
        await client.workers.get("nobody")
    with pytest.raises(WorkerNotFound):
        await client.workers.drain("nobody")
