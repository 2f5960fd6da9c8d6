"""Two who say different things of one run at the same moment: the first in Redis is right, the other is told."""

import asyncio
import random
from collections import Counter

import pytest
import redis

from dispatcher import RunState
from dispatcher.errors import PoolHoldsRuns, QueueHoldsRuns, WorkerGone
from dispatcher.models import HandOff
from dispatcher.names import lane_name
from dispatcher.store import Joining, Store
from tests.support.stack import Stack

LEASE_MS, ROUNDS = 15_000, 60


async def taken(stack: Stack, store: Store, name: str) -> HandOff:
    """A run in the hands of a worker of its own."""
    joining = Joining(name, lane_name(), 1, LEASE_MS, "function", auto_start=True, info={})
    await store.workers.join("default", joining)
    await stack.client.publish("f")
    turn = await store.workers.turn("default", name, 0, offer=True, ends=())
    (run,) = turn.runs
    return run


def told_ends(url: str) -> Counter[str]:
    """How often the end of each run is told."""
    with redis.Redis.from_url(url) as connection:
        entries = connection.xrange("sluice:{default}:finished")
    return Counter(next(iter(fields.values())).decode() for _, fields in entries)


@pytest.mark.fault(48)
async def test_a_cancel_and_an_end_at_once_make_one_terminal_state(stack: Stack) -> None:
    async with Store(stack.url) as store, Store(stack.url) as other:
        for n in range(ROUNDS):
            run = await taken(stack, store, f"w{n}")
            end = (run.id, run.token, "completed", "", b"\xc0")
            both = [
                store.workers.turn("default", f"w{n}", run.number, offer=False, ends=end),
                other.runs.cancel("default", [run.id]),
            ]
            random.shuffle(both)
            await asyncio.gather(*both)
            await store.workers.turn("default", f"w{n}", run.number, offer=False, ends=end)  # said again
            found = await stack.client.get(run.id)
            assert found.state in {RunState.COMPLETED, RunState.CANCELLED}
            assert told_ends(stack.url)[run.id] == 1
            await store.workers.leave("default", f"w{n}")


@pytest.mark.fault(48)
@pytest.mark.parametrize("first", ["cancel", "reclaim", "both at once"])
async def test_a_cancel_and_a_reclaim_at_once_make_one_terminal_state(stack: Stack, first: str) -> None:
    async with Store(stack.url) as store, Store(stack.url) as other:
        await store.link.execute([("SET", "sluice:{default}:test-clock", "1")])
        store.link.now_ms = other.link.now_ms = 4_000_000_000_000
        await watch(store, 2 * LEASE_MS)  # from then on what is seen is believed
        for n in range(ROUNDS // 4):
            run = await taken(stack, store, f"w{n}")
            await watch(store, LEASE_MS)
            store.link.now_ms += 1
            other.link.now_ms = store.link.now_ms
            both = [store.care.tick("default"), other.runs.cancel("default", [run.id])]
            if first == "both at once":
                await asyncio.gather(*both)
            else:
                for call in both if first == "reclaim" else both[::-1]:
                    await call
            late = (run.id, run.token, "completed", "", b"\xc0")
            with pytest.raises(WorkerGone):
                await store.workers.turn("default", f"w{n}", run.number, offer=False, ends=late)
            assert (await stack.client.get(run.id)).state is RunState.CANCELLED
            assert told_ends(stack.url)[run.id] == 1


async def watch(store: Store, ms: int) -> None:
    """A dispatcher looks all the time, for so long."""
    for _ in range(ms // 250):
        store.link.now_ms += 250
        await store.care.tick("default")


@pytest.mark.fault(33)
async def test_a_pool_or_queue_with_runs_inside_is_not_deleted_in_silence(stack: Stack) -> None:
    client = stack.client
    runs = [await client.publish("f", queue="etl") for _ in range(3)]
    with pytest.raises(PoolHoldsRuns):
        await client.pools.delete("default")
    with pytest.raises(QueueHoldsRuns):
        await client.queues.delete("etl")
    assert {(await client.get(run)).state for run in runs} == {RunState.QUEUED}
