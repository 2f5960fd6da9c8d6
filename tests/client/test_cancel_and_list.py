"""Cancelling in every state, and finding runs by state and queue."""

import anyio
import pytest

from dispatcher import Client, InvalidInput, RunFailed, RunState
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions


class Sleeper:
    """A function that sleeps until it is cancelled."""

    def __init__(self) -> None:
        self.functions = Functions()
        self.started = self.ended = 0
        self.functions.register(self.sleep)

    async def sleep(self) -> None:
        self.started += 1
        try:
            await anyio.sleep_forever()
        finally:
            self.ended += 1


async def test_what_waits_is_cancelled_at_once(stack: Stack) -> None:
    client = stack.client
    queued = await client.publish("f", keys=["k:1"])
    scheduled = await client.publish("f", delay=3600, queue="q")
    assert await client.cancel(queued, scheduled, "0" * 32) == ["cancelled", "cancelled", "missing"]
    assert await client.cancel(queued, scheduled) == ["already", "already"]
    for run in (queued, scheduled):
        found = await client.get(run)
        assert (found.state, found.reason, found.attempt) == (RunState.CANCELLED, "asked", 0)
    pool = await client.pools.get("default")
    assert (pool.queued, pool.scheduled, pool.running) == (0, 0, 0)


async def test_a_running_run_is_cancelled_by_its_worker(stack: Stack) -> None:
    client, sleeper = stack.client, Sleeper()
    await stack.worker(sleeper.functions)
    run = await client.publish("sleep")
    await wait_until(lambda: sleeper.started, description="it runs")
    assert await client.cancel(run) == ["cancelling"]
    with pytest.raises(RunFailed, match=r"cancelled \(asked\)"):
        await client.result(run, timeout=5)
    assert sleeper.ended == 1
    assert (await client.pools.get("default")).running == 0
    assert await client.cancel(run) == ["already"]


async def test_a_run_is_cancelled_while_it_is_handed_off(stack: Stack) -> None:
    """The order may come in the same read as the run: a task that never began must end its claim all the same."""
    client, sleeper = stack.client, Sleeper()
    await stack.worker(sleeper.functions, limit=1)
    for _ in range(30):
        run = await client.publish("sleep")
        await client.cancel(run)
        with pytest.raises(RunFailed, match="cancelled"):
            await client.result(run, timeout=5)
    assert (await client.pools.get("default")).running == 0


async def test_statuses_come_in_the_order_of_the_runs(stack: Stack) -> None:
    client = stack.client
    await client.pools.create("other")
    here, gone, there = await client.publish("f"), await client.publish("f"), await client.publish("f", pool="other")
    await client.cancel(gone)
    assert await client.cancel(gone, there, here, "0" * 32) == ["already", "cancelled", "cancelled", "missing"]


async def test_many_are_cancelled(stack: Stack) -> None:
    runs = await stack.client.publish_many(["f"] * 200)
    assert set(await stack.client.cancel(*runs)) == {"cancelled"}
    assert (await stack.client.pools.get("default")).queued == 0


async def test_runs_are_found_by_state_and_queue(stack: Stack) -> None:
    client, sleeper = stack.client, Sleeper()
    functions = sleeper.functions

    @functions.register
    async def quick() -> None:
        pass

    await client.limits.set("k:full", 0)
    await stack.worker(functions, queues=("default", "fast"))
    by_state = {
        RunState.RUNNING: await client.publish("sleep", queue="fast"),
        RunState.COMPLETED: await client.publish("quick", queue="fast"),
        RunState.FAILED: await client.publish("missing"),
        RunState.SCHEDULED: await client.publish("quick", delay=3600),
        RunState.CANCELLED: await client.publish("quick", delay=3600),
        RunState.QUEUED: await client.publish("quick", queue="slow"),
    }
    parked = await client.publish("quick", keys=["k:full"])
    await client.cancel(by_state[RunState.CANCELLED])

    async def settled() -> bool:
        return all([(await client.get(run)).state is state for state, run in by_state.items()])

    await wait_until(settled, description="every run is in its state")
    everything = [run.id for run in await client.list()]
    assert sorted(everything) == sorted([parked.id, *(run.id for run in by_state.values())])
    for state, run in by_state.items():
        expected = {run.id, parked.id} if state is RunState.QUEUED else {run.id}
        assert {found.id for found in await client.list(states=[state])} == expected
    assert {run.id for run in await client.list(queue="fast")} == {by_state[s].id for s in ("running", "completed")}
    assert [run.id for run in await client.list(states=["queued"], queue="slow")] == [by_state[RunState.QUEUED].id]
    assert await client.list(queue="nowhere") == []
    assert len(await client.list(limit=3)) == 3
    with pytest.raises(InvalidInput, match="'done' is not a valid RunState"):
        await client.list(states=["done"])


async def test_finished_runs_are_listed_newest_first_and_to_the_limit(stack: Stack) -> None:
    runs = await stack.client.publish_many(["f"] * 450)
    await stack.client.cancel(*runs)
    found = await stack.client.list(states=["cancelled"], limit=420)
    assert [run.id for run in found] == [run.id for run in reversed(runs)][:420]


async def test_a_client_of_another_pool_sees_its_own(stack: Stack) -> None:
    async with Client(stack.url, pool="other") as other:
        await other.pools.create("other")
        run = await other.publish("f")
        assert [found.id for found in await other.list()] == [run.id]
        assert await stack.client.list() == []
        assert (await stack.client.get(run)).pool == "other"
