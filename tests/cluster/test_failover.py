"""A master goes under load, planned or not: another one takes over, and services, workers and publishers go on.

Replication is asynchronous: what a master acknowledged in the very moment of its death, its replica may not have. That
moment is shorter than a millisecond on one machine, and its price is bounded here: a publish is said again under its
id, and as many runs as there are slots may be executed a second time. No run ends twice.
"""

import pytest
from anyio import to_thread

from tests.support.figures import Figures
from tests.support.load import LIMIT, Load
from tests.support.processes import Children
from tests.support.servers import Server
from tests.support.stack import Stack, running
from tests.support.topologies import DOWN_AFTER, NODE_TIMEOUT, Cluster, Trio, ask
from tests.support.witness import Witness

pytestmark = pytest.mark.redis

SLACK = 20.0
"""Seconds for an election and for a busy machine."""


async def _serve(stack: Stack, children: Children, witness: Witness, pools: list[str]) -> None:
    await stack.dispatcher()
    await stack.scheduler()
    for pool in pools:
        await stack.client.pools.create(pool, if_missing=True)
        for n in range(2):
            await stack.worker_process(children, witness, pool=pool, limit=LIMIT + 2, name=f"{pool}-{n}")


async def _survived(load: Load, witness: Witness, master: Server) -> int:
    """Check what became of all runs; how many acknowledged ones were lost and said again."""
    lost = await load.lost()
    await load.publish_again(lost)
    await load.completed()
    load.ended_once(master.port)
    twice = load.executed(witness)
    assert len(twice) <= LIMIT
    assert witness.highest({run.id for run in load.runs}.__contains__) <= LIMIT + len(twice)
    assert len(lost) <= LIMIT
    return len(lost)


@pytest.mark.fault(16)
async def test_sentinels_promote_the_replica_of_a_killed_master(
    trio: Trio, children: Children, witness: Witness, figures: Figures
) -> None:
    async with running(trio.url) as stack:
        await _serve(stack, children, witness, ["default"])
        load, before = Load(stack.client, "default"), trio.master
        async with load.going_on():
            before.kill()
        assert trio.master is not before
        lost = await _survived(load, witness, trio.master)
        figures.note(f"sentinels, down after {DOWN_AFTER:g} s, master killed: longest time without a publish", load.gap)
        figures.note("sentinels, master killed: acknowledged publishes lost", lost, "")
        assert DOWN_AFTER / 2 < load.gap < DOWN_AFTER + SLACK


@pytest.mark.fault(16)
async def test_a_planned_change_of_master_loses_nothing(
    trio: Trio, children: Children, witness: Witness, figures: Figures
) -> None:
    """Writes are paused until the other one is named: sentinels do not wait for what a replica lacks."""
    async with running(trio.url) as stack:
        await _serve(stack, children, witness, ["default"])
        load, before = Load(stack.client, "default"), trio.master
        async with load.going_on():
            ask(before.port, "CLIENT", "PAUSE", 20_000, "WRITE")
            ask(trio.sentinels[0].port, "SENTINEL", "FAILOVER", "sluice")
            await to_thread.run_sync(trio.wait_for_failover, before)
            ask(before.port, "CLIENT", "KILL", "TYPE", "normal")
            ask(before.port, "CLIENT", "UNPAUSE")
        assert await load.lost() == []
        await load.completed()
        await to_thread.run_sync(trio.wait_until_whole)
        load.ended_once(trio.master.port)
        witness.exactly_once({run.id for run in load.runs})
        assert witness.highest() <= LIMIT
        figures.note("sentinels, planned: longest time without a publish", load.gap)


@pytest.mark.fault(16)
async def test_a_cluster_promotes_the_replica_of_a_killed_master(
    cluster: Cluster, children: Children, witness: Witness, figures: Figures
) -> None:
    """The pool of that master goes on after the election, that of another one all the time."""
    pools = cluster.pools(2)
    async with running(cluster.url) as stack:
        await _serve(stack, children, witness, pools)
        hit, other = (Load(stack.client, pool) for pool in pools)
        before = cluster.master_of(pools[0])
        async with other.going_on(), hit.going_on():
            before.kill()
        assert cluster.master_of(pools[0]) is not before
        lost = await _survived(hit, witness, cluster.master_of(pools[0]))
        assert await _survived(other, witness, cluster.master_of(pools[1])) == 0
        figures.note(
            f"cluster, node timeout {NODE_TIMEOUT:g} s, master killed: longest time without a publish", hit.gap
        )
        figures.note("cluster, master killed: longest time without a publish to another master", other.gap)
        figures.note("cluster, master killed: acknowledged publishes lost", lost, "")
        assert NODE_TIMEOUT / 2 < hit.gap < NODE_TIMEOUT + SLACK


@pytest.mark.fault(16)
async def test_a_planned_failover_of_a_cluster_loses_nothing(
    cluster: Cluster, children: Children, witness: Witness, figures: Figures
) -> None:
    async with running(cluster.url) as stack:
        await _serve(stack, children, witness, ["default"])
        load, before = Load(stack.client, "default"), cluster.master_of("default")
        async with load.going_on():
            replica = cluster.replica_of(before)
            ask(replica.port, "CLUSTER", "FAILOVER")
        assert cluster.master_of("default") is replica
        assert await load.lost() == []
        await load.completed()
        load.ended_once(replica.port)
        witness.exactly_once({run.id for run in load.runs})
        assert witness.highest() <= LIMIT
        figures.note("cluster, planned: longest time without a publish", load.gap)
