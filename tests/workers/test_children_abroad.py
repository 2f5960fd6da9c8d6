"""Children in other pools: a tree that is cancelled takes them along, and a claim that is over publishes none there."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import pytest
import redis

from dispatcher import ClaimLost, Client, Run, RunState, context
from dispatcher.store.runs import RunStore
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions

POOLS = ("default", "other")
TOLD: list[str] = []
functions = Functions()


@functions.register
async def hop(depth: int) -> None:
    """Publish the next one in the other pool, then go on for ever."""
    if depth:
        await context.publish("hop", {"depth": depth - 1}, pool=POOLS[depth % 2])
    await anyio.sleep_forever()


@functions.register
async def tries() -> None:
    """Publish a child in the other pool, and tell what becomes of that."""
    try:
        await context.publish("hop", {"depth": 0}, pool="other")
    except ClaimLost:
        TOLD.append("refused")
        raise
    TOLD.append("published")


@pytest.fixture
async def client(stack: Stack) -> Client:
    await stack.client.pools.create("other")
    TOLD.clear()
    return stack.client


async def runs_of(client: Client) -> list[Run]:
    return [run for pool in POOLS for run in await client.list(pool=pool)]


async def test_a_tree_is_cancelled_through_all_its_pools(stack: Stack, client: Client) -> None:
    for pool in POOLS:
        await stack.worker(functions, pool=pool)
    root = await client.publish("hop", {"depth": 3})

    async def all_run() -> bool:
        return [run.state for run in await runs_of(client)] == [RunState.RUNNING] * 4

    await wait_until(all_run, description="four generations run in two pools", timeout=30)
    assert await client.cancel(root, children=True) == ["cancelling"]

    async def all_over() -> bool:
        return {run.state for run in await runs_of(client)} == {RunState.CANCELLED}

    await wait_until(all_over, description="they are cancelled", timeout=30)
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.keys("*:abroad") == []


async def test_children_are_left_alone_when_nobody_asks(stack: Stack, client: Client) -> None:
    await stack.worker(functions)
    root = await client.publish("tries")
    await client.result(root, 20)
    assert await client.cancel(root) == ["already"]
    (child,) = await client.list(pool="other")
    assert child.state is RunState.QUEUED


async def test_a_dispatcher_finishes_what_who_cancelled_left(stack: Stack, client: Client) -> None:
    await stack.worker(functions)
    root = await client.publish("tries")
    await client.result(root, 20)
    await client._store.runs._cancel("default", [root.id], "asked", tree=True)  # and there its process died
    await stack.dispatcher()

    async def is_cancelled() -> bool:
        (child,) = await client.list(pool="other")
        return (child.state, child.reason) == (RunState.CANCELLED, "parent_cancelled")

    await wait_until(is_cancelled, description="a dispatcher cancels it", timeout=30)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_tree_that_is_cancelled_while_a_child_is_published_takes_it_along(
    stack: Stack, client: Client, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Before the child is there nobody finds it, so its own publisher takes it back."""
    publish: Callable[..., Awaitable[list[str]]] = RunStore.publish

    async def interrupted(store: RunStore, pool: str, runs: Sequence[Any], *args: Any) -> list[str]:
        if pool == "other" and moment == "before":
            await client.cancel(parent, children=True)
        found = await publish(store, pool, runs, *args)
        if pool == "other" and moment == "after":
            await client.cancel(parent, children=True)
        return found

    monkeypatch.setattr(RunStore, "publish", interrupted)
    parent = await client.publish("tries")
    await stack.worker(functions)

    async def is_over() -> bool:
        return (await client.get(parent)).state.is_terminal

    await wait_until(is_over, description="the parent is over", timeout=30)

    async def is_gone() -> bool:
        return [run.reason for run in await client.list(pool="other")] == ["parent_cancelled"]

    await wait_until(is_gone, description="its child is cancelled", timeout=30)
    assert "published" not in TOLD


async def test_a_claim_that_is_asked_to_end_publishes_nothing_in_another_pool(stack: Stack, client: Client) -> None:
    await stack.worker(functions)
    parent = await client.publish("hop", {"depth": 0})

    async def claim() -> str:
        found = await client.get(parent)
        return str(found.claim_token) if found.state is RunState.RUNNING else ""

    token = await wait_until(claim, description="it runs")
    store = client._store.runs
    assert await store.note_abroad("default", (parent.id, token), "other", ["0" * 32])
    assert not await store.note_abroad("default", (parent.id, str(int(token) + 1)), "other", ["1" * 32])
    await client.cancel(parent)
    assert not await store.note_abroad("default", (parent.id, token), "other", ["2" * 32])
