"""Schedulers: each due run is promoted once, never early, hardly late, however many of them there are."""

from collections import Counter

import anyio
import pytest
import redis

from dispatcher import RunState
from scheduler.promotion import LONGEST_WAIT
from tests.support.processes import Children
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions


def transitions(url: str, kind: str) -> list[str]:
    """The ids that this kind of transition names in the event stream, in order."""
    found: list[str] = []
    with redis.Redis.from_url(url) as connection:
        for _, fields in connection.xrange("sluice:{default}:events"):
            for line in fields[b"e"].decode().split("\n"):
                words = line.split(" ")
                if words[0] == kind:
                    found += words[2:]
    return found


def server_ms(url: str) -> float:
    with redis.Redis.from_url(url) as connection:
        seconds, micros = connection.time()
    return seconds * 1000 + micros / 1000


@pytest.mark.fault(27)
async def test_three_schedulers_promote_each_due_run_once(stack: Stack, children: Children) -> None:
    await stack.scheduler()
    await stack.scheduler()
    third = await stack.service_process(children, "scheduler")
    async with anyio.create_task_group() as group:
        for n in range(300):
            group.start_soon(publish_later, stack, 0.3 + (n % 10) / 50)
    await wait_until(lambda: queued(stack, 300), description="all are queued")
    assert third.exit_code is None
    counts = Counter(transitions(stack.url, "promoted"))
    assert len(counts) == 300
    assert set(counts.values()) == {1}
    pool = await stack.client.pools.get("default")
    assert (pool.queued, pool.scheduled) == (300, 0)


async def publish_later(stack: Stack, seconds: float) -> None:
    await stack.client.publish("f", delay=seconds)


async def queued(stack: Stack, number: int) -> bool:
    return (await stack.client.pools.get("default")).queued == number


async def test_a_thousand_due_at_once_are_all_promoted(stack: Stack) -> None:
    from dispatcher import Publish

    runs = await stack.client.publish_many([Publish("f", None, {"delay": 0.2}) for _ in range(1000)])
    assert len(runs) == 1000
    await stack.scheduler()
    await wait_until(lambda: queued(stack, 1000), description="all are queued")
    assert set(Counter(transitions(stack.url, "promoted")).values()) == {1}


async def test_a_run_due_earlier_than_known_rings_the_bell(stack: Stack) -> None:
    """The scheduler waits for something far off; what comes in between must not wait for its timer."""
    functions, began = Functions(), {}

    @functions.register
    async def note(name: str) -> None:
        began[name] = server_ms(stack.url)

    await stack.scheduler()
    await stack.worker(functions)
    await stack.client.publish("note", {"name": "far"}, delay=3600)
    due = {}
    for n in range(10):
        due[f"r{n}"] = server_ms(stack.url) + 60
        run = await stack.client.publish("note", {"name": f"r{n}"}, delay=0.06)
        await stack.client.result(run, timeout=LONGEST_WAIT / 3)
    lateness = sorted(began[name] - due[name] for name in due)
    assert lateness[0] >= -1
    assert lateness[5] < 100  # a few ms on a quiet machine; without a bell it would be half a minute
    assert (await stack.client.pools.get("default")).scheduled == 1


async def test_a_scheduler_follows_pools_that_come_and_go(stack: Stack) -> None:
    await stack.scheduler()
    for _ in range(2):
        await stack.client.pools.create("brief")
        run = await stack.client.publish("f", delay=0.05, pool="brief")

        async def is_queued(run: object = run) -> bool:
            return (await stack.client.get(run)).state is RunState.QUEUED

        await wait_until(is_queued, description="it is queued")
        await stack.client.pools.delete("brief", cancel=True)


async def test_what_was_due_while_no_scheduler_ran_is_not_lost(stack: Stack) -> None:
    scope = await stack.scheduler()
    scope.cancel()
    run = await stack.client.publish("f", delay=0.05)
    expired = await stack.client.publish("f", delay=0.05, expires=0.1)
    passed = server_ms(stack.url) + 150
    await wait_until(lambda: server_ms(stack.url) > passed, description="both times have passed")
    assert (await stack.client.get(run)).state is RunState.SCHEDULED
    await stack.scheduler()
    await wait_until(lambda: queued(stack, 1), description="one is queued")

    async def is_expired() -> bool:
        return (await stack.client.get(expired)).state is RunState.EXPIRED

    await wait_until(is_expired, description="the other one has expired")
