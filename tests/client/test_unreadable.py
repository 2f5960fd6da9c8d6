"""One record that cannot be read hides no other, and is not hidden by them."""

from collections.abc import Iterator

import pytest
import redis

from dispatcher import Client
from dispatcher.errors import DecodeError, DeploymentNotFound, PartlyUnreadable, PoolHoldsRuns
from dispatcher.names import lane_name
from dispatcher.store import Joining
from tests.support.stack import Stack
from tests.support.unreadable import ROOT, spoil_deployment, spoil_run


@pytest.fixture
def client(stack: Stack) -> Client:
    return stack.client


@pytest.fixture
def connection(stack: Stack) -> "Iterator[redis.Redis]":
    with redis.Redis.from_url(stack.url) as connected:
        yield connected


async def test_a_list_of_runs_names_those_that_cannot_be_read_and_has_the_others(
    client: Client, connection: "redis.Redis"
) -> None:
    queued, odd, scheduled = await client.publish("f"), await client.publish("f"), await client.publish("f", delay=600)
    spoil_run(connection, odd.id)
    with pytest.raises(PartlyUnreadable, match=rf"^1 run cannot be read: {odd.id} \(.*`sluice run cancel`") as caught:
        await client.list()
    assert [run.id for run in caught.value.found] == [queued.id, scheduled.id]
    assert caught.value.unreadable.keys() == {odd.id}
    with pytest.raises(DecodeError, match=f"the record of run {odd.id} cannot be read"):
        await client.get(odd)
    assert [run.id for run in await client.list(states=["scheduled"])] == [scheduled.id]  # it is none of these


async def test_a_run_that_cannot_be_read_is_cancelled_like_any_other(client: Client, connection: "redis.Redis") -> None:
    odd = await client.publish("f")
    spoil_run(connection, odd.id)
    assert await client.cancel(odd) == ["cancelled"]
    await client.publish("f")
    odd = await client.publish("f", delay=600)
    spoil_run(connection, odd.id)
    await client.pools.delete("default", cancel=True)
    assert await client.pools.list() == []


async def test_a_pool_whose_worker_has_a_run_that_cannot_be_read_says_so_instead_of_asking_for_ever(
    client: Client, connection: "redis.Redis"
) -> None:
    odd = await client.publish("f")
    workers = client._store.workers
    await workers.join("default", Joining("w-1", lane_name(), 1, 600_000, "function", auto_start=True, info={}))
    turn = await workers.turn("default", "w-1", 0, offer=True, ends=())
    spoil_run(connection, odd.id)
    with pytest.raises(PoolHoldsRuns):
        await client.pools.delete("default", cancel=True)
    assert connection.hget(f"{ROOT}:run:{odd.id}", "state") == b"cancelling"
    end = (odd.id, turn.runs[0].token, "cancelled", "asked", b"")
    await workers.turn("default", "w-1", turn.last, offer=False, ends=end)
    await workers.leave("default", "w-1")
    await client.pools.delete("default", cancel=True)


async def test_a_list_of_deployments_has_those_that_can_be_read_and_the_other_can_be_deleted(
    client: Client, connection: "redis.Redis"
) -> None:
    await client.deploy("good", function="f")
    await client.deploy("odd one", function="f", schedules=[{"id": "s", "interval": 3600}])
    spoil_deployment(connection, "odd%20one")
    with pytest.raises(
        PartlyUnreadable, match="1 deployment cannot be read: odd one .*`sluice deployment delete`"
    ) as caught:
        await client.deployments.list()
    assert [stored.name for stored in caught.value.found] == ["good"]
    with pytest.raises(DecodeError, match="deployment 'odd one' cannot be read"):
        await client.deployments.get("odd one")
    await client.deployments.delete("odd one")
    with pytest.raises(DeploymentNotFound):
        await client.deployments.delete("odd one")
    assert connection.zcard(f"{ROOT}:schedules") == 0
    await client.deploy("odd one", function="g")
    assert [stored.name for stored in await client.deployments.list()] == ["good", "odd one"]


async def test_what_is_due_is_told_without_what_cannot_be_read(client: Client, connection: "redis.Redis") -> None:
    await client.deploy("good", function="f", schedules=[{"id": "s", "interval": 3000}])
    await client.deploy("odd", function="f", schedules=[{"id": "s", "interval": 3000}])
    run, odd = await client.publish("f", delay=60), await client.publish("f", delay=60)
    spoil_deployment(connection, "odd")
    spoil_run(connection, odd.id)
    with pytest.raises(PartlyUnreadable) as caught:
        await client.preview()
    assert caught.value.unreadable.keys() == {odd.id, "odd"}
    assert {row.run or row.deployment for row in caught.value.found} == {run.id, "good"}


async def test_dead_letters_that_can_be_read_are_told_and_the_others_can_be_purged(
    client: Client, connection: "redis.Redis"
) -> None:
    dead, odd = await client.publish("f"), await client.publish("f")
    await client.cancel(dead, odd)
    connection.zadd(f"{ROOT}:dead", {dead.id: 1, odd.id: 2})
    spoil_run(connection, odd.id)
    for asked in (client.dead.list, client.dead.groups):
        with pytest.raises(PartlyUnreadable, match=f"1 dead letter cannot be read: {odd.id}") as caught:
            await asked()
        assert len(caught.value.found) == 1
    with pytest.raises(PartlyUnreadable):
        await client.dead.retry(dead.id, odd.id)
    assert await client.dead.count() == 2
    assert await client.dead.purge(odd.id) == 1
    (again,) = await client.dead.retry(dead.id)
    assert again.is_new
