"""Runs that are pushed to a worker which does not answer come back, fenced, long before its lease is over."""

import time

import pytest
import redis

from dispatcher import RunState
from tests.support.figures import Figures
from tests.support.processes import Child, Children
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness

LONG = 8.0


async def watched_worker(stack: Stack, children: Children, witness: Witness) -> Child:
    """An idle worker with a long lease, in a pool that dispatchers have watched for as long as that."""
    worker = await stack.worker_process(children, witness, limit=4, lease=LONG)
    await stack.dispatcher()

    def is_watched() -> bool:
        with redis.Redis.from_url(stack.url) as connection:
            tick, floor = connection.hmget("sluice:{default}:watch", "tick", "floor")
        return tick is not None and int(floor) <= int(tick)

    await wait_until(is_watched, description="the dispatcher believes what it sees", timeout=30)
    return worker


@pytest.mark.fault(2, 44)
async def test_a_push_to_a_frozen_worker_comes_back_within_a_second(
    stack: Stack, children: Children, witness: Witness, figures: Figures
) -> None:
    frozen = await watched_worker(stack, children, witness)
    frozen.freeze()
    began = time.monotonic()
    run = await stack.client.publish("work", {"name": "r"})
    assert (await stack.client.get(run)).state is RunState.RUNNING, "it was pushed to the only worker"

    async def is_back() -> bool:
        return (await stack.client.get(run)).state is RunState.QUEUED

    await wait_until(is_back, description="it is taken back")
    figures.note("a push that nobody confirms, until it is back", time.monotonic() - began)
    assert time.monotonic() - began < LONG / 2, "not for the lease"
    await stack.worker_process(children, witness, limit=4, lease=LONG)
    assert await stack.client.result(run, timeout=20) == "r"
    frozen.thaw()
    more = [await stack.client.publish("work", {"name": f"m{n}"}) for n in range(8)]
    await stack.completed([run, *more])
    stack.ended_once([run, *more])
    assert witness.count("start")["r"] == 1
    assert frozen.pid not in {line.pid for line in witness.lines() if line.name == "r"}
    assert (await stack.client.get(run)).crashes == 1


@pytest.mark.fault(5)
async def test_a_worker_whose_loop_is_busy_with_what_was_pushed_keeps_it(
    stack: Stack, children: Children, witness: Witness
) -> None:
    await watched_worker(stack, children, witness)
    run = await stack.client.publish("block_the_loop", {"name": "r", "seconds": 3.0})
    assert await stack.client.result(run, timeout=20) == "r"
    assert (await stack.client.get(run)).crashes == 0
    assert witness.count("start") == {"r": 1}
