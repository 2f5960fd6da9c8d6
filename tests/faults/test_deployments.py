"""Deployments whose writer dies on the way, or is slow, or is not alone: nothing is lost, doubled or stuck."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher import codec
from dispatcher.client.deploying import finish_move
from dispatcher.clock import SystemClock
from dispatcher.deployments import Deployment, read_deployment
from dispatcher.errors import DeploymentExists, DeploymentNotFound, PoolNotFound
from dispatcher.store.link import Link
from scheduler.firing import Firing
from tests.support.stack import Stack

START = 1_800_000_000_000
LIMIT = 512 * 1024
CALLS = 16
Step = Callable[[str], Awaitable[None]]


class Died(Exception):
    """The process ended here."""


def document(**fields: Any) -> Deployment:
    said = {"schedules": [{"id": "s", "interval": 60}], "concurrency": {"limit": 1}, **fields}
    return read_deployment({"name": "etl", "function": "f", **said})


@asynccontextmanager
async def after_each_call(
    monkeypatch: pytest.MonkeyPatch, step: Callable[[int], Awaitable[None]]
) -> AsyncIterator[None]:
    """`step(n)` follows the nth thing that is said to the server."""
    count = 0
    originals = {name: getattr(Link, name) for name in ("call", "execute")}

    def wrapped(original: Any) -> Any:
        async def said(link: Link, *arguments: Any) -> Any:
            nonlocal count
            reply = await original(link, *arguments)
            count += 1
            await step(count)
            return reply

        return said

    with monkeypatch.context() as patch:
        for name, original in originals.items():
            patch.setattr(Link, name, wrapped(original))
        yield


async def dies_after(monkeypatch: pytest.MonkeyPatch, number: int, operation: Callable[[], Awaitable[Any]]) -> bool:
    """Do it in a process that ends after so many calls; whether it ended before it was through."""

    async def step(count: int) -> None:
        if count >= number:
            raise Died

    async with after_each_call(monkeypatch, step):
        try:
            await operation()
        except Died:
            return True
    return False


def firing(stack: Stack) -> Firing:
    return Firing(stack.client._store, SystemClock(), LIMIT)


@pytest.fixture
async def moment(stack: Stack) -> Callable[[int], None]:
    """Sets the time of all pools of the test."""
    link = stack.client._store.link
    await stack.client.pools.create("other")
    for pool in ("default", "other"):
        await link.execute([("SET", f"sluice:{{{pool}}}:test-clock", "1")])

    def set_now(now_ms: int) -> None:
        link.now_ms = now_ms

    set_now(START)
    return set_now


async def places(stack: Stack) -> list[str]:
    return [stored.pool for stored in await stack.client.deployments.list()]


async def instants(stack: Stack) -> list[int]:
    runs = [run for pool in ("default", "other") for run in await stack.client.list(pool=pool)]
    return sorted(run.spec.at or 0 for run in runs)


@pytest.mark.fault(30)
@pytest.mark.parametrize("number", range(1, CALLS))
async def test_whoever_writes_it_dies_and_somebody_does_it_again(
    stack: Stack, moment: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    died = await dies_after(monkeypatch, number, lambda: stack.client.deployments.put(document()))
    assert died or number > 5
    stored = await stack.client.deployments.put(document(pool="other" if not await places(stack) else "default"))
    assert stored.version == 1
    assert await places(stack) == [stored.pool]
    assert (await stack.client.deployments.get("etl")).pool == stored.pool


@pytest.mark.fault(30)
@pytest.mark.parametrize("by", ["user", "scheduler"])
@pytest.mark.parametrize("number", range(1, CALLS))
async def test_whoever_moves_it_dies_and_no_instant_is_lost_or_doubled(
    stack: Stack, moment: Any, monkeypatch: pytest.MonkeyPatch, number: int, by: str
) -> None:
    deployments = stack.client.deployments
    await deployments.put(document())
    await firing(stack).fire_due("default")
    died = await dies_after(monkeypatch, number, lambda: deployments.move("etl", "other"))
    if by == "user" or await places(stack) == ["default"]:
        await deployments.move("etl", "other")
    for minute in range(1, 4):
        moment(START + 60_000 * minute)
        for pool in ("other", "default", "other"):
            await firing(stack).fire_due(pool)
    assert await places(stack) == ["other"], died
    assert (await deployments.get("etl")).pool == "other"
    assert await instants(stack) == [START + 60_000 * minute for minute in range(4)]
    assert [limit.key for limit in await stack.client.limits.list()] == []


@pytest.mark.parametrize("number", range(1, 8))
async def test_whoever_deletes_it_dies_and_somebody_does_it_again(
    stack: Stack, moment: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    deployments = stack.client.deployments
    await deployments.put(document())
    await dies_after(monkeypatch, number, lambda: deployments.delete("etl"))
    if await places(stack):
        await deployments.delete("etl")
    with pytest.raises(DeploymentNotFound):
        await deployments.get("etl")
    assert (await deployments.put(document(pool="other"))).pool == "other"


@pytest.mark.parametrize("number", range(1, CALLS))
@pytest.mark.parametrize("does", ["delete", "pause", "put", "back"])
async def test_a_move_that_was_left_is_met_by_another_operation(
    stack: Stack, moment: Any, monkeypatch: pytest.MonkeyPatch, number: int, does: str
) -> None:
    """It is done to the one there is, wherever the mover died."""
    deployments = stack.client.deployments
    await deployments.put(document())
    await dies_after(monkeypatch, number, lambda: deployments.move("etl", "other"))
    if does == "delete":
        await deployments.delete("etl")
        assert await places(stack) == []
    elif does == "pause":
        assert (await deployments.pause("etl")).document.paused
        assert len(await places(stack)) == 1
    elif does == "back":
        assert (await deployments.move("etl", "default")).pool == "default"
        assert await places(stack) == ["default"]
    else:
        try:
            await deployments.put(document(description="new"))
        except DeploymentExists:
            assert await places(stack) == ["other"]
        else:
            assert await places(stack) == ["default"]


@pytest.mark.parametrize("number", range(1, CALLS))
async def test_a_slow_mover_changes_nothing_of_what_was_changed_since(
    stack: Stack, moment: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Somebody else finishes its move after each of its steps, pauses the deployment there, or takes it on."""
    await stack.client.deployments.put(document())
    busy = False

    async def step(count: int) -> None:
        nonlocal busy
        if count == number and not busy:
            busy = True
            await stack.client.deployments.move("etl", "other")
            await stack.client.deployments.update("etl", description="new", paused=True)

    async with after_each_call(monkeypatch, step):
        await finish_move_or_none(stack)
    if busy:
        (stored,) = await stack.client.deployments.list()
        assert (stored.pool, stored.document.description, stored.document.paused) == ("other", "new", True)
        assert (await stack.client.deployments.get("etl")) == stored


async def finish_move_or_none(stack: Stack) -> None:
    with suppress(DeploymentNotFound):
        await finish_move(stack.client._store, "default", "etl", "other")


async def test_a_scheduler_that_looked_long_ago_begins_no_move(stack: Stack, moment: Any) -> None:
    """It was moved, and back: what the scheduler saw on its way is at rest."""
    deployments = stack.client.deployments
    await deployments.put(document())
    await deployments.move("etl", "other")
    await deployments.move("etl", "default")
    with pytest.raises(DeploymentNotFound):
        await finish_move(stack.client._store, "default", "etl")
    assert await places(stack) == ["default"]
    assert not (await deployments.get("etl")).moving_to


async def test_on_its_way_to_a_pool_that_is_gone_it_stays_and_goes_on(stack: Stack, moment: Any) -> None:
    client = stack.client
    await client.deployments.put(document())
    before = (await client.deployments.get("etl")).schedules
    await client._store.deployments.begin_move("default", "etl", "other")
    await client.pools.delete("other")
    await firing(stack).fire_due("default")
    stored = await client.deployments.get("etl")
    assert (stored.pool, stored.moving_to) == ("default", "")
    assert stored.schedules[0].next_at == before[0].next_at or stored.schedules[0].fired == 1
    with pytest.raises(PoolNotFound):
        await client.deployments.move("etl", "other")
    await client._store.deployments.begin_move("default", "etl", "other")
    await client.pools.create("third")
    assert (await client.deployments.move("etl", "third")).pool == "third"


async def test_a_one_off_that_fired_does_not_fire_again_in_another_pool(stack: Stack, moment: Any) -> None:
    deployments = stack.client.deployments
    await deployments.put(document(schedules=[{"id": "s", "at": datetime.fromtimestamp(START / 1000, UTC)}]))
    await firing(stack).fire_due("default")
    await deployments.move("etl", "other")
    await deployments.update("etl", description="new")
    await deployments.pause("etl")
    await deployments.resume("etl")
    await firing(stack).fire_due("other")
    assert await instants(stack) == [START]


async def test_one_that_was_made_anew_fires_what_it_says_now(stack: Stack, moment: Any) -> None:
    """A scheduler that knows version 1 of the old one meets version 1 of the new one."""
    deployments, old = stack.client.deployments, firing(stack)
    await deployments.put(document(parameters={"word": "old"}))
    await old.fire_due("default")
    await deployments.delete("etl")
    moment(START + 1)
    assert (await deployments.put(document(parameters={"word": "new"}))).version == 1
    moment(START + 60_000)
    await old.fire_due("default")
    found = {run.spec.at: run.spec.parameters for run in await stack.client.list()}
    assert found == {START: {"word": "old"}, START + 60_000: {"word": "new"}}


@pytest.mark.parametrize("number", range(1, CALLS))
async def test_two_that_write_one_name_in_two_pools_at_once_agree(
    stack: Stack, moment: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refused, busy = [], False

    async def put(pool: str) -> None:
        try:
            await stack.client.deployments.put(document(pool=pool))
        except DeploymentExists as error:
            refused.append(error)

    async def step(count: int) -> None:
        nonlocal busy
        if count == number and not busy:
            busy = True
            await put("other")

    async with after_each_call(monkeypatch, step):
        await put("default")
    (place,) = await places(stack)
    assert (await stack.client.deployments.get("etl")).pool == place
    assert len(refused) == busy


async def test_a_run_whose_key_says_when_full_since_it_was_published_is_not_prepared(stack: Stack, moment: Any) -> None:
    """Whether its key is full is looked at when it is due."""
    client, link = stack.client, stack.client._store.link
    await link.call("join", "default", START, "early-1", "|~ahead|", 1, 600_000, "function", 0, "", 60_000, b"")
    at = datetime.fromtimestamp(START / 1000 + 120, UTC)
    runs = [await client.publish("f", keys=["tenant:a"], at=at) for _ in range(2)]
    await client.limits.set("tenant:a", 1, when_full="skip")
    moment(START + 90_000)
    await client._store.care.promote("default")
    assert [(await client.get(run)).state for run in runs] == ["scheduled", "scheduled"]
    moment(START + 120_000)
    await client._store.care.promote("default")
    assert sorted([(await client.get(run)).state for run in runs]) == ["cancelled", "queued"]


async def test_a_dead_letter_whose_retry_is_skipped_stays(stack: Stack) -> None:
    client, link = stack.client, stack.client._store.link
    dead = await client.publish("f", keys=["tenant:a"])
    await client.cancel(dead)
    await link.execute([("ZADD", "sluice:{default}:dead", 1, dead.id)])
    await client.limits.set("tenant:a", 1, when_full="skip")
    other = await client.publish("f", keys=["tenant:a"])
    assert (await client.get(await client.retry(dead))).reason == "skipped"
    assert await client.dead.count() == 1
    await client.cancel(other)
    assert (await client.get(await client.retry(dead))).state == "queued"
    assert await client.dead.count() == 0


async def test_a_document_that_this_release_cannot_read_holds_up_no_other(stack: Stack, moment: Any) -> None:
    """A newer release wrote it: it waits for a scheduler that can."""
    await stack.client.deployments.put(document())
    await stack.client.deployments.put(document().model_copy(update={"name": "newer"}))
    where = "sluice:{default}:deployment:newer"
    link = stack.client._store.link
    (before,) = await link.execute([("HGET", where, "document")])
    await link.execute([("HSET", where, "document", codec.pack({**codec.unpack(before), "unheard_of": 1}))])
    schedulers = firing(stack)
    moment(START + 60_000)
    await schedulers.fire_due("default")
    assert {run.spec.deployment for run in await stack.client.list()} == {"etl"}
    await link.execute([("HSET", where, "document", before)])
    await firing(stack).fire_due("default")
    assert {run.spec.deployment for run in await stack.client.list()} == {"etl", "newer"}


async def test_nothing_of_a_pool_stays(stack: Stack, moment: Any) -> None:
    """Deployments, policies, caches, early runs: all keys are gone with the pool."""
    client, link = stack.client, stack.client._store.link
    await client.pools.create("short")
    for policy in ("skip", "replace", "wait_one", "wait"):
        fields = {"concurrency": {"limit": 1, "when_full": policy}, "cache": {"key": policy, "ttl": 60}}
        await client.deployments.put(document(pool="short", **fields).model_copy(update={"name": policy}))
        for _ in range(3):
            await client.deployments.run(policy)
    await link.call("join", "short", START, "early-1", "|~ahead|", 1, 600_000, "function", 0, "", 60_000, b"")
    soon = datetime.now(UTC) + timedelta(seconds=50)
    for _ in range(3):
        await client.publish("f", at=soon, expires=3600, pool="short")
    await firing(stack).fire_due("short")
    await client._store.care.promote("short")
    (early,) = await link.execute([("XLEN", "sluice:{short}:backlog:default|~ahead")])
    assert early == 3, "they may be prepared"
    for run in await client.list(pool="short"):
        if not run.state.is_terminal:
            await client.cancel(run.id, pool="short")
    for policy in ("skip", "replace", "wait_one", "wait"):
        await client.deployments.delete(policy)
    await link.call("leave", "short", link.now_ms, "early-1")
    await client.pools.delete("short")
    (found,) = await link.execute([("KEYS", "sluice:{short}*")])
    assert found == []
