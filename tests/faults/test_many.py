"""Very many at once: runs that wait, workers that never came back. What it costs the server."""

from collections.abc import AsyncIterator

import pytest
import redis

from dispatcher import Client, Publish
from dispatcher.names import lane_name
from dispatcher.store import Joining, Store
from tests.support.figures import Figures
from tests.support.stack import Stack

START, LEASE_MS = 4_000_000_000_000, 15_000
NEVER_BACK, WAITING, SAMPLES = 3_000, 100_000, 500


@pytest.fixture
async def store(stack: Stack) -> AsyncIterator[Store]:
    """Calls of any worker and any dispatcher, at a time that the test sets."""
    async with Store(stack.url) as store:
        await store.link.execute([("SET", "sluice:{default}:test-clock", "1")])
        store.link.now_ms = START
        yield store
    stack.is_sound = False  # to audit so many takes longer than the test


def server_seconds(url: str) -> float:
    """Processor time that the server has used: what others do on this machine is not in it."""
    with redis.Redis.from_url(url) as connection:
        found = connection.info("cpu")
    return float(found["used_cpu_user"] + found["used_cpu_sys"])


async def join(store: Store, name: str, capacity: int) -> None:
    joining = Joining(name, lane_name(), capacity, LEASE_MS, "function", auto_start=True, info={})
    await store.workers.join("default", joining)


@pytest.mark.fault(45)
async def test_thousands_of_workers_that_never_came_back_leave_no_key(
    stack: Stack, store: Store, figures: Figures
) -> None:
    with redis.Redis.from_url(stack.url) as connection:
        await join(store, "first", 1)
        await store.workers.leave("default", "first")
        await store.care.tick("default")
        clean = {key for key in connection.scan_iter(count=1000) if b":events" not in key}
        for n in range(NEVER_BACK):
            await join(store, f"w{n}", 1)
        before = server_seconds(stack.url)
        ticks = 0
        while connection.zcard("sluice:{default}:workers") or connection.scard("sluice:{default}:lost"):
            store.link.now_ms += 250
            await store.care.tick("default")
            ticks += 1
            assert ticks < 5 * NEVER_BACK
        figures.note(f"{NEVER_BACK:,} workers swept, processor time of Redis", server_seconds(stack.url) - before)
        left = {key for key in connection.scan_iter(count=1000) if b":events" not in key}
    assert left - clean == set()


@pytest.mark.fault(41)
async def test_a_hundred_thousand_waiting_runs_make_publishing_no_slower(
    stack: Stack, store: Store, figures: Figures
) -> None:
    """What a run costs does not depend on how many wait; memory grows by some hundred bytes each."""
    with redis.Redis.from_url(stack.url) as connection:
        few = await cost_of_publishes(stack.client, stack.url)
        used = connection.info("memory")["used_memory"]
        await stack.client.publish_many([Publish("f", {"text": "x" * 100}) for _ in range(WAITING)])
        each = (connection.info("memory")["used_memory"] - used) / WAITING
        many = await cost_of_publishes(stack.client, stack.url)
    figures.note("processor time of Redis of a publish, nothing waits", 1e6 * few, "us")
    figures.note("processor time of Redis of a publish, 100,000 wait", 1e6 * many, "us")
    figures.note("memory of a waiting run with 100 bytes", each, "bytes")
    assert many < 3 * few + 100e-6
    assert each < 1000


async def cost_of_publishes(client: Client, url: str) -> float:
    """The mean over many of them, with the reading of a command."""
    before = server_seconds(url)
    for _ in range(SAMPLES):
        await client.publish("f", {"text": "x" * 100})
    return (server_seconds(url) - before) / SAMPLES
