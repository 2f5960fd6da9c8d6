"""The dispatcher's duties: silent workers, leftovers, retention."""

import time

import anyio
import pytest
import redis

from dispatcher import Client, RunNotFound, RunState
from dispatcher.names import lane_name
from dispatcher.store import Joining, Store
from tests.support.processes import Children
from tests.support.stack import LEASE, Stack
from tests.support.waiting import wait_until
from workers import Functions

LEASE_MS = round(LEASE * 1000)


async def silent_worker(stack: Stack, name: str) -> object:
    """A worker that joins, takes a run, and is not heard of again; returns the run."""
    async with Store(stack.url) as store:
        await store.workers.join(
            "default", Joining(name, lane_name(), 1, LEASE_MS, "function", auto_start=True, info={})
        )
        run = await stack.client.publish("f")
        turn = await store.workers.turn("default", name, 0, offer=True, ends=())
    assert [given.id for given in turn.runs] == [run.id]
    return run


async def state(client: Client, run: object) -> RunState:
    return (await client.get(run)).state


@pytest.mark.fault(31)
async def test_silent_workers_lose_their_runs_to_many_dispatchers_once(stack: Stack, children: Children) -> None:
    for _ in range(2):
        await stack.dispatcher()
    await stack.service_process(children, "dispatcher")
    runs = [await silent_worker(stack, f"silent-{n}") for n in range(3)]
    began = time.monotonic()

    async def all_back() -> bool:
        return {await state(stack.client, run) for run in runs} == {RunState.QUEUED}

    await wait_until(all_back, description="their runs are back")
    assert LEASE * 0.5 < time.monotonic() - began < LEASE + 2.5
    assert {(await stack.client.get(run)).crashes for run in runs} == {1}
    assert await stack.client.workers.list() == []
    assert (await stack.client.pools.get("default")).running == 0


async def test_nobody_is_given_up_by_one_who_has_just_come(stack: Stack) -> None:
    """A lease that ended while no dispatcher looked is no evidence: one whole lease is watched first."""
    run = await silent_worker(stack, "silent")
    with redis.Redis.from_url(stack.url) as connection:
        ends = connection.zscore("sluice:{default}:workers", "silent")
        await wait_until(lambda: connection.time()[0] * 1000 > ends, description="the lease has ended")
    began = time.monotonic()
    await stack.dispatcher()
    async with Store(stack.url) as store:
        assert (await store.care.tick("default")).lost == 0
    await wait_until(lambda: is_back(stack.client, run), description="the run is back")
    assert time.monotonic() - began > LEASE * 0.9


async def is_back(client: Client, run: object) -> bool:
    return await state(client, run) is RunState.QUEUED


@pytest.mark.fault(13)
async def test_a_gap_between_ticks_gives_everybody_another_lease(stack: Stack) -> None:
    scope = await stack.dispatcher()
    run = await silent_worker(stack, "silent")
    scope.cancel()
    with redis.Redis.from_url(stack.url) as connection:
        ends = connection.zscore("sluice:{default}:workers", "silent")
        await wait_until(lambda: connection.time()[0] * 1000 > ends, description="the lease has ended")
    async with Store(stack.url) as store:
        assert (await store.care.tick("default")).lost == 0
        began = time.monotonic()
        ticks = []

        async def tick() -> bool:
            ticks.append((await store.care.tick("default")).lost)
            return ticks[-1] == 1

        await wait_until(tick, description="the worker is given up", interval=0.1)
        assert time.monotonic() - began > LEASE * 0.9
        await wait_until(lambda: is_back(stack.client, run), description="the run is back")


async def test_a_worker_that_speaks_again_in_time_is_believed(stack: Stack) -> None:
    run = await silent_worker(stack, "silent")
    async with Store(stack.url) as store:
        for _ in range(3):
            await store.care.tick("default")
        turn = await store.workers.turn("default", "silent", 0, offer=True, ends=())
        assert [given.id for given in turn.runs] == [run.id]
        await store.workers.leave("default", "silent")
    assert (await stack.client.get(run)).crashes == 0


async def test_leftovers_of_a_bounded_call_are_admitted(stack: Stack) -> None:
    """A raised limit lets in more than one call admits; who raised it goes on, or the dispatcher does."""
    functions = Functions()
    gate = anyio.Event()

    @functions.register
    async def hold() -> None:
        await gate.wait()

    await stack.dispatcher()
    await stack.client.pools.update("default", limit=0)
    await stack.worker(functions, limit=600)
    for n in range(40):
        await stack.client.publish("hold", queue=f"q{n}", keys=[f"k:{n}"])
    runs = await stack.client.publish_many(["hold"] * 500)
    async with Store(stack.url) as store:
        await store.link.call("pool", "default", 0, "update", "", "limit", "")  # and goes away

    async def all_run() -> bool:
        return (await stack.client.pools.get("default")).running == 540

    await wait_until(all_run, description="all run")
    gate.set()
    await stack.completed(runs)


async def test_finished_runs_are_kept_for_two_minutes_and_no_longer_than_the_pool_says(stack: Stack) -> None:
    with redis.Redis.from_url(stack.url) as connection:
        connection.set("sluice:{default}:test-clock", 1)
        start = connection.time()[0] * 1000
    await stack.client.pools.update("default", retention_ms=1, retention_count=100_000)
    runs = await stack.client.publish_many(["f"] * 300)
    waiting = await stack.client.publish("f")
    await stack.client.cancel(*runs)
    async with Store(stack.url) as store:
        for now, forgotten in ((start + 1_000, 0), (start + 118_000, 0), (start + 125_000, 256), (start + 125_000, 44)):
            store.link.now_ms = now
            assert await store.care.retain("default", 256) == (forgotten, forgotten == 256, False)
    with pytest.raises(RunNotFound, match="retention is over"):
        await stack.client.get(runs[0])
    assert [run.id for run in await stack.client.list()] == [waiting.id]


async def test_the_pool_keeps_so_many_finished_runs(stack: Stack) -> None:
    with redis.Redis.from_url(stack.url) as connection:
        connection.set("sluice:{default}:test-clock", 1)
        later = connection.time()[0] * 1000 + 125_000
    await stack.client.pools.update("default", retention_count=10)
    runs = await stack.client.publish_many(["f"] * 30)
    await stack.client.cancel(*runs)
    async with Store(stack.url) as store:
        store.link.now_ms = later
        assert await store.care.retain("default") == (20, False, False)
    assert {run.id for run in await stack.client.list()} == {run.id for run in runs[20:]}


async def test_a_dispatcher_forgets_what_the_pool_no_longer_keeps(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service does it by itself; entries are made old, since nothing younger than 120 s may go."""
    monkeypatch.setattr("dispatcher.caretaker.RETAIN_SECONDS", 0.05)
    await stack.client.pools.update("default", retention_ms=1)
    old = await stack.client.publish("f", run_id="old-0000000000000000")
    young = await stack.client.publish("f")
    await stack.client.cancel(old)
    with redis.Redis.from_url(stack.url) as connection:
        then = connection.time()[0] * 1000 - 121_000
        connection.delete("sluice:{default}:finished")
        connection.xadd("sluice:{default}:finished", {"cancelled": old.id}, id=f"{then}-0")
    await stack.client.cancel(young)
    await stack.dispatcher()

    async def is_gone() -> bool:
        try:
            await stack.client.get(old)
        except RunNotFound:
            return True
        return False

    await wait_until(is_gone, description="the old one is gone")
    assert await state(stack.client, young) is RunState.CANCELLED
