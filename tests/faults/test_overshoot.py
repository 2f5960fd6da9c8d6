"""Four situations in which another dispatcher's limits are overshot. Counted by what the runs themselves wrote."""

import pytest

from dispatcher import Publish
from tests.support.processes import Children
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness


async def start_workers(stack: Stack, children: Children, witness: Witness, queues: list[str]) -> None:
    for queue in queues:
        await stack.worker_process(children, witness, queues=[queue], limit=20, name=f"on-{queue}")


@pytest.mark.parametrize("queues", [["a", "b"], ["a", "b", "c", "d"]], ids=["two workers", "four workers"])
async def test_workers_on_queues_of_their_own_share_the_limit_of_the_pool(
    stack: Stack, children: Children, witness: Witness, queues: list[str]
) -> None:
    await stack.client.pools.update("default", limit=5)
    await start_workers(stack, children, witness, queues)
    await stack.client.pools.pause("default")
    names = [f"{queue}{n}" for n in range(20) for queue in queues]
    runs = [await stack.client.publish("work", {"name": name, "seconds": 0.05}, queue=name[0]) for name in names]
    await stack.client.pools.resume("default")  # all workers meet all runs at once
    await stack.completed(runs)
    witness.exactly_once(set(names))
    assert witness.highest() == 5


async def test_urgent_runs_do_not_overtake_the_limit(stack: Stack, children: Children, witness: Witness) -> None:
    await stack.client.pools.update("default", limit=5)
    await stack.client.queues.create("urgent", priority=1)
    await stack.client.queues.create("normal", priority=3)
    for n in range(2):
        await stack.worker_process(children, witness, limit=10, name=f"w{n}")
    runs = [await stack.client.publish("work", {"name": f"n{n}", "seconds": 0.2}, queue="normal") for n in range(30)]
    await wait_until(lambda: len(witness.count("start")) >= 5, description="the pool is full of normal runs")
    urgent = [await stack.client.publish("work", {"name": f"u{n}", "seconds": 0.05}, queue="urgent") for n in range(10)]
    await stack.completed([*runs, *urgent])
    witness.exactly_once({f"n{n}" for n in range(30)} | {f"u{n}" for n in range(10)})
    assert witness.highest() == 5
    lines = [line for line in witness.lines() if line.kind == "start"]
    last_urgent = max(place for place, line in enumerate(lines) if line.name[0] == "u")
    assert last_urgent < 10 + 10  # one slot's worth of normal runs at most came between publishing and the first slot


async def test_two_workers_race_for_three_slots_five_times(stack: Stack, children: Children, witness: Witness) -> None:
    await stack.client.pools.update("default", limit=3)
    for n in range(2):
        await stack.worker_process(children, witness, limit=10, name=f"w{n}")
    for round_ in range(5):
        runs = await stack.client.publish_many(
            [Publish("work", {"name": f"r{round_}.{n}", "seconds": 0.03}) for n in range(20)]
        )
        await stack.completed(runs)
        assert witness.highest(lambda name, round_=round_: name.startswith(f"r{round_}.")) == 3
    witness.exactly_once({f"r{round_}.{n}" for round_ in range(5) for n in range(20)})
