"""Somebody removes a key by hand: nobody crashes, and what can be found out again is."""

import pytest
import redis

from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions

HEALS = [
    "awake:default|",
    "ready:",
    "idle:||",
    "idle",
    "classes:default",
    "workers",
    "watch",
    "due",
    "bell",
    "depth",
    "slots",
]


@pytest.mark.fault(20)
@pytest.mark.parametrize("key", HEALS)
async def test_an_index_that_is_removed_stops_nothing(stack: Stack, key: str) -> None:
    """While the pool is paused with runs in its queue; then all are executed, one that was published since too."""
    functions = Functions()

    @functions.register
    async def work() -> int:
        return 1

    stack.is_sound = False
    await stack.dispatcher()
    await stack.scheduler()
    worker = await stack.worker(functions)
    await stack.client.pools.pause("default")
    runs = [await stack.client.publish("work") for _ in range(3)]
    with redis.Redis.from_url(stack.url) as connection:
        connection.delete(f"sluice:{{default}}:{key}")
    await stack.client.pools.resume("default")
    runs.append(await stack.client.publish("work"))
    for run in runs:
        assert await stack.client.result(run, timeout=30) == 1
    assert worker.is_live or await wait_until(lambda: worker.is_live, description="the worker is well")
