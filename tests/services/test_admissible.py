"""How many runs could be admitted now, where limits of keys hold some back: as many as are, once there are workers."""

import pytest

from dispatcher import Client, Publish
from dispatcher.names import lane_name
from dispatcher.snapshots import PoolSnapshot
from dispatcher.store import Joining, Store
from tests.support.servers import EVERY_KIND, Server


async def publish(client: Client, number: int, *keys: str, queue: str = "default") -> None:
    await client.publish_many([Publish("f", options={"queue": queue, "keys": keys})] * number)


async def admitted(store: Store) -> int:
    """How many runs a large worker is given."""
    await store.workers.join(
        "default", Joining("large", lane_name(), 1_000, 15_000, "function", auto_start=True, info={})
    )
    seen = 0
    while turn := (await store.workers.turn("default", "large", seen, offer=True, ends=())):
        if not turn.runs:
            break
        seen = turn.last
    return (await store.snapshots.read("default")).held


def waiting(snapshot: PoolSnapshot) -> dict[str, int]:
    return {queue.name: queue.admissible for queue in snapshot.queues if queue.queued}


@pytest.mark.parametrize("server", EVERY_KIND[:2], indirect=True)
async def test_as_many_are_admissible_as_are_admitted_once_there_is_a_worker(server: Server) -> None:
    async with Client(server.url) as client, Store(server.url) as store:
        await client.pools.create("default")
        await client.queues.create("etl", limit=5)
        await client.queues.create("off", paused=True)
        await client.limits.set("tenant:*", 2)
        await client.limits.set("tenant:large", 4)
        await client.limits.set("host:one", 3)
        await publish(client, 10, "tenant:acme")
        await publish(client, 10, "tenant:large", "host:one")
        await publish(client, 7, "free:of-limits")
        await publish(client, 6)
        await publish(client, 4, "tenant:large", queue="etl")  # one slot is left of four
        await publish(client, 9, queue="etl")
        await publish(client, 5, "tenant:other", queue="off")  # a paused queue takes nobody's slots
        await publish(client, 1, "tenant:other", queue="etl")
        before = await store.snapshots.read("default")
        assert waiting(before) == {"default": 2 + 3 + 7 + 6, "etl": 5, "off": 0}
        assert await admitted(store) == before.admissible == 23
        after = await store.snapshots.read("default")
        assert (after.admissible, after.queued) == (0, 52 - 23)


@pytest.mark.parametrize("parked", [False, True])
async def test_buckets_count_whether_they_are_awake_or_parked(redis_url: str, parked: bool) -> None:
    async with Client(redis_url) as client, Store(redis_url) as store:
        await client.pools.create("default")
        await client.limits.set("tenant:*", 1)
        if parked:  # by a worker that comes to each of them
            for tenant in range(20):
                await publish(client, 1, f"tenant:{tenant}")
            assert await admitted(store) == 20
        for tenant in range(20):
            await publish(client, 3, f"tenant:{tenant}")
        found = await store.snapshots.read("default")
        assert (found.queued, found.admissible) == (60, 0 if parked else 20)


async def test_what_was_not_looked_at_counts_as_admissible(redis_url: str) -> None:
    async with Client(redis_url) as client, Store(redis_url) as store:
        await client.pools.create("default")
        await client.limits.set("tenant:*", 1)
        for tenant in range(70):
            await publish(client, 2, f"tenant:{tenant}")
        assert (await store.snapshots.read("default")).admissible == 64 + 2 * 6
