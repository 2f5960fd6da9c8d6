"""Every feature on a cluster, with pools that live on different masters."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import redis
from anyio import to_thread

from dispatcher import BlockingClient, Client, Publish, RunState, context
from dispatcher.cli import main
from dispatcher.clock import SystemClock
from dispatcher.collector import Observer
from dispatcher.deployments import read_deployment
from dispatcher.doctor import Severity, examine
from dispatcher.errors import NotDurable
from dispatcher.store import Store
from tests.support.servers import Server
from tests.support.stack import Stack, running
from tests.support.topologies import Cluster
from tests.support.waiting import wait_until
from workers import Functions

pytestmark = pytest.mark.redis


@pytest.fixture
def functions() -> Functions:
    known = Functions()

    @known.register
    async def add(a: int, b: int = 1) -> int:
        context.logger.info("adding", a=a)
        return a + b

    @known.register
    async def parent(pool: str) -> int:
        return await context.result(await context.publish("add", {"a": 10}, pool=pool))

    return known


@pytest.fixture
async def stack(cluster: Cluster) -> AsyncIterator[Stack]:
    async with running(cluster.url) as stack:
        for pool in cluster.pools():
            await stack.client.pools.create(pool, if_missing=True)
        yield stack


@pytest.fixture
async def served(cluster: Cluster, stack: Stack, functions: Functions) -> Stack:
    """The same with services, and a worker for each pool."""
    await stack.dispatcher()
    await stack.scheduler()
    for pool in cluster.pools():
        await stack.worker(functions, pool=pool)
    return stack


async def test_runs_of_all_pools_are_executed_and_waited_for(cluster: Cluster, served: Stack) -> None:
    client, pools = served.client, cluster.pools()
    assert len({cluster.master_of(pool).port for pool in pools}) == 3
    one = [await client.publish("add", {"a": n}, pool=pool) for n, pool in enumerate(pools)]
    many = [await client.publish_many([Publish("add", {"a": n}) for n in range(50)], pool=pool) for pool in pools]
    assert [await client.result(run, 20) for run in one] == [1, 2, 3]
    for runs in many:
        assert [await client.result(run, 20) for run in runs] == list(range(1, 51))
    late = [await client.publish("add", {"a": 5}, pool=pool, delay=timedelta(seconds=0.3)) for pool in pools]
    assert [await client.result(run, 20) for run in late] == [6, 6, 6]
    assert [len(await client.list(pool=pool, states=[RunState.COMPLETED], limit=60)) for pool in pools] == [52, 52, 52]


async def test_code_publishes_into_a_pool_on_another_master(cluster: Cluster, served: Stack) -> None:
    first, second, _ = cluster.pools()
    run = await served.client.publish("parent", {"pool": second}, pool=first)
    assert await served.client.result(run, 20) == 11


async def test_a_log_is_followed_until_the_run_is_over(cluster: Cluster, served: Stack) -> None:
    pool = cluster.pools()[1]
    run = await served.client.publish("add", {"a": 1}, pool=pool, delay=timedelta(seconds=0.2))
    lines = [line.text async for line in served.client.logs(run, follow=True)]
    assert len(lines) == 1
    assert "adding" in lines[0]


async def test_entries_of_all_publish_streams_become_runs(cluster: Cluster, served: Stack) -> None:
    pools = cluster.pools()
    for n, pool in enumerate(pools):
        with redis.Redis(port=cluster.master_of(pool).port) as plain:
            plain.xadd(f"sluice:{{{pool}}}:publish", {"run": json.dumps({"function": "add", "parameters": {"a": n}})})
            plain.xadd(f"sluice:{{{pool}}}:publish", {"run": "{"})
    for n, pool in enumerate(pools):

        async def ended(pool: str = pool) -> list[object]:
            runs = await served.client.list(pool=pool, states=[RunState.COMPLETED])
            return [await served.client.result(run.id, 10, pool=pool) for run in runs]

        assert await wait_until(ended, description="the entry became a run", timeout=20) == [n + 1]
        rejected = await wait_until(
            lambda pool=pool: served.client.intake.rejected.list(pool=pool), description="the other one is rejected"
        )
        assert len(rejected) == 1


async def test_deployments_act_on_schedule_and_move_to_another_master(cluster: Cluster, served: Stack) -> None:
    client, (first, second, _) = served.client, cluster.pools()
    fields = {"function": "add", "parameters": {"a": 3}, "schedules": [{"interval": "1s"}]}
    await client.deployments.put(read_deployment({"name": "tick", "pool": first, **fields}))
    assert [one.name for one in await client.deployments.list(pool=first)] == ["tick"]

    async def acted(pool: str) -> bool:
        return any(run.spec.schedule for run in await client.list(pool=pool, states=[RunState.COMPLETED]))

    await wait_until(lambda: acted(first), description="it acts", timeout=20)
    moved = await client.deployments.move("tick", second)
    assert moved.pool == second
    await wait_until(lambda: acted(second), description="it acts in the other pool", timeout=20)
    run = await client.deployments.run("tick")
    assert await client.result(run, 20) == 4
    await client.deployments.delete("tick")
    assert await client.deployments.list() == []


async def test_limits_queues_and_cancelling_are_those_of_each_pool(cluster: Cluster, stack: Stack) -> None:
    client, (first, second, third) = stack.client, cluster.pools()
    await client.pools.update(first, limit=2)
    await client.queues.create("slow", pool=second, priority=7)
    await client.limits.set("tenant:*", 1, pool=third)
    assert {pool.name: pool.limit for pool in await client.pools.list()} == {first: 2, second: None, third: None}
    assert {queue.name for queue in await client.queues.list(pool=second)} == {"default", "slow"}
    assert [(limit.key, limit.limit) for limit in await client.limits.list(pool=third)] == [("tenant:*", 1)]
    for pool in (first, second, third):
        run = await client.publish("add", {"a": 1}, pool=pool)
        assert await client.cancel(run) == ["cancelled"]
    await client.pools.delete(second)
    assert sorted(pool.name for pool in await client.pools.list()) == sorted([first, third])


async def test_the_blocking_client_reaches_all_pools(cluster: Cluster, served: Stack) -> None:
    def use() -> list[int]:
        with BlockingClient(cluster.url) as client:
            runs = [client.publish("add", {"a": n}, pool=pool) for n, pool in enumerate(cluster.pools())]
            return [client.result(run, 20) for run in runs]

    assert await to_thread.run_sync(use) == [1, 2, 3]


async def test_metrics_are_those_of_all_masters(cluster: Cluster, served: Stack) -> None:
    for pool in cluster.pools():
        await served.client.result(await served.client.publish("add", {"a": 1}, pool=pool), 20)
    observer = Observer(cluster.url, SystemClock())
    try:
        found = await to_thread.run_sync(observer.snapshot)
    finally:
        observer.close()
    assert found.error is None
    assert sorted(pool.name for pool in found.pools) == sorted(cluster.pools())
    assert [pool.queues[0].counts["completed"] for pool in found.pools] == [1, 1, 1]
    assert [pool.workers.online for pool in found.pools] == [1, 1, 1]
    assert found.info["maxmemory_policy"] == "noeviction"
    with redis.Redis(port=cluster.masters()[0].port) as plain:
        one = plain.info("stats")["total_commands_processed"]
    assert found.info["total_commands_processed"] > one


async def test_the_doctor_looks_at_every_master_and_every_pool(cluster: Cluster, served: Stack) -> None:
    async with Store(cluster.url) as store:
        found = await examine(store, SystemClock(), 50)
    assert [one for one in found if one.severity is Severity.ERROR] == []
    roles = [one.finding for one in found if one.check == "role"]
    assert roles == [f"127.0.0.1:{master.port}: primary, 1 replicas" for master in _by_slot(cluster)]
    places = {one.pool: one.finding for one in found if one.check == "place"}
    assert places == {pool: f"on 127.0.0.1:{cluster.master_of(pool).port}" for pool in cluster.pools()}
    assert [one.finding for one in found if one.check == "catalogue"] == ["3 pools"]


async def test_the_command_line_shows_a_cluster(
    cluster: Cluster, served: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_REDIS_URL", cluster.url)

    def call(*words: str) -> object:
        with pytest.raises(SystemExit) as end:
            main(words)
        assert not end.value.code
        return json.loads(capsys.readouterr().out)

    listed = await to_thread.run_sync(lambda: call("pool", "ls", "-o", "json"))
    assert len(listed) == 3
    assert await to_thread.run_sync(lambda: call("status", "-o", "json"))


def _by_slot(cluster: Cluster) -> list[Server]:
    ports = {first: node[1] for first, _, node, *_ in cluster.ask_any("CLUSTER", "SLOTS")}
    order = [ports[first] for first in sorted(ports)]
    return [next(server for server in cluster.servers if server.port == port) for port in dict.fromkeys(order)]


async def test_a_replicated_publish_is_proven_by_the_replica_of_its_pool(cluster: Cluster, served: Stack) -> None:
    pool = cluster.pools()[2]
    run = await served.client.publish("add", {"a": 1}, pool=pool, durability="replicated")
    assert await served.client.result(run, 20) == 2
    replica = cluster.replica_of(cluster.master_of(pool))
    replica.freeze()
    try:
        async with Client(cluster.url, durability_timeout=0.5) as client:
            with pytest.raises(NotDurable):
                await client.publish("add", {"a": 1}, pool=pool, durability="replicated")
    finally:
        replica.thaw()
