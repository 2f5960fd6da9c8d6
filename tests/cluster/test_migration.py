"""The slot of a pool that is in use moves to another master as a whole."""

from tests.support.load import LIMIT, Load
from tests.support.processes import Children
from tests.support.stack import running
from tests.support.topologies import Cluster, ask
from tests.support.waiting import wait_until
from tests.support.witness import Witness


async def test_a_slot_that_is_moved_as_a_whole_takes_its_pool_along(children: Children, witness: Witness) -> None:
    with Cluster("valkey", replicas=False) as cluster:
        async with running(cluster.url) as stack:
            await stack.dispatcher()
            await stack.scheduler()
            await stack.worker_process(children, witness, limit=LIMIT + 2)
            load, before = Load(stack.client, "default"), cluster.master_of("default")
            after = next(server for server in cluster.servers if server is not before)
            slot = ask(before.port, "CLUSTER", "KEYSLOT", "{default}")
            name = ask(after.port, "CLUSTER", "MYID").decode()
            async with load.going_on():
                ask(before.port, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", name)
                await wait_until(
                    lambda: cluster.master_of("default") is after, description="the slot has moved", timeout=60
                )
            await load.completed()
            assert await load.lost() == []
            load.ended_once(after.port)
            witness.exactly_once({run.id for run in load.runs})
            assert witness.highest() <= LIMIT
            assert load.refused == 0
