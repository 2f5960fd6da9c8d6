"""A master without a replica is away for long: its pools wait, all others go on, and it is told which."""

import json

import anyio
import pytest
import redis
from anyio import to_thread

from dispatcher import RunState
from dispatcher.clock import SystemClock
from dispatcher.collector import Observer
from dispatcher.doctor import examine
from dispatcher.errors import ServerUnreachable
from dispatcher.store import Store
from tests.support.stack import Stack, running
from tests.support.topologies import Cluster
from tests.support.waiting import wait_until
from workers import Functions

pytestmark = pytest.mark.redis


@pytest.fixture
def functions() -> Functions:
    known = Functions()

    @known.register
    async def add(a: int) -> int:
        return a + 1

    return known


def _take_in(cluster: Cluster, pool: str) -> None:
    with redis.Redis(port=cluster.master_of(pool).port) as plain:
        plain.xadd(f"sluice:{{{pool}}}:publish", {"run": json.dumps({"function": "add", "parameters": {"a": 1}})})


async def _completed(stack: Stack, pool: str, count: int) -> None:
    async def over() -> bool:
        return len(await stack.client.list(pool=pool, states=[RunState.COMPLETED])) == count

    await wait_until(over, description=f"{count} runs of {pool} have completed", timeout=40, interval=0.1)


async def test_pools_of_other_masters_go_on(cluster: Cluster, functions: Functions) -> None:
    first, second, third = sorted(cluster.pools(), key=lambda name: name != "default")
    async with running(cluster.url) as stack:
        for pool in (second, third):
            await stack.client.pools.create(pool)
        await stack.dispatcher()
        await stack.scheduler()
        for pool in (first, second, third):
            await stack.worker(functions, pool=pool)
            _take_in(cluster, pool)
            await _completed(stack, pool, 1)
        master = cluster.master_of(second)
        replica = cluster.replica_of(master)
        replica.kill()
        master.kill()
        try:
            with pytest.raises(ServerUnreachable):
                await stack.client.publish("add", {"a": 1}, pool=second)
            for pool in (first, third):
                _take_in(cluster, pool)
                run = await stack.client.publish("add", {"a": 1}, pool=pool, delay=0.1)
                assert await stack.client.result(run, 30) == 2
                await _completed(stack, pool, 3)
            await to_thread.run_sync(_tells, cluster, (first, third), second)
            async with Store(cluster.url) as store:
                (found,) = [one for one in await examine(store, SystemClock(), 50) if one.check == "server"]
            assert f"the server at 127.0.0.1:{master.port} does not answer" in found.finding
        finally:
            master.start()
            replica.start()
        await to_thread.run_sync(cluster.wait_until_whole)
        with anyio.fail_after(40):
            run = await stack.client.publish("add", {"a": 2}, pool=second)
            assert await stack.client.result(run, 30) == 3


def _tells(cluster: Cluster, there: tuple[str, ...], away: str) -> None:
    observer = Observer(cluster.url, SystemClock())
    try:
        found = observer.snapshot()
    finally:
        observer.close()
    assert found.error is None
    assert sorted(pool.name for pool in found.pools) == sorted(there)
    assert found.unread == (away,)
