"""A schedule whose timing changes: what it published ahead of its instants is replaced in the same step."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from dispatcher import Run, RunState
from dispatcher.clock import SystemClock
from dispatcher.deployments.instance import occurrence_id
from dispatcher.names import lane_name
from dispatcher.store import Joining
from scheduler.firing import Firing
from tests.support.stack import Stack

START = 1_800_000_000_000
ROOT = "sluice:{default}"
ANCHOR = datetime.fromtimestamp(START / 1000, UTC)
REPLACED = (RunState.CANCELLED, "schedule_changed")


class Scene:
    """A deployment `tick` by the test's clock, and a worker that prepares runs a minute ahead."""

    def __init__(self, stack: Stack, connection: "redis.Redis") -> None:
        self.client, self.store, self.connection = stack.client, stack.client._store, connection
        connection.set(f"{ROOT}:test-clock", 1)
        self.at(0)

    def at(self, seconds: float) -> None:
        self.store.link.now_ms = START + round(1000 * seconds)

    async def prepare(self) -> None:
        await self.store.workers.join(
            "default",
            Joining("w-1", lane_name(ahead=True), 9, 3_600_000, "function", auto_start=False, info={}, ahead_ms=60_000),
        )

    async def deploy(self, *schedules: dict[str, Any], **more: Any) -> None:
        await self.client.deploy("tick", function="f", schedules=list(schedules), **more)

    async def fire(self) -> None:
        await Firing(self.store, SystemClock(), 512 * 1024).fire_due("default")

    async def run(self, seconds: int, again: str = "") -> Run:
        """That of an instant so long after the start."""
        return await self.client.get(occurrence_id("tick", "s", START + 1000 * seconds) + again)

    async def ended(self, seconds: int) -> tuple[RunState, str]:
        run = await self.run(seconds)
        return run.state, run.reason

    async def next(self) -> float:
        """Seconds after the start at which it acts."""
        (state,) = (await self.client.deployments.get("tick")).schedules
        return state.next_at.timestamp() - START / 1000


def every(seconds: int, **more: Any) -> dict[str, Any]:
    return {"id": "s", "interval": seconds, "anchor": ANCHOR, **more}


@pytest.fixture
def scene(stack: Stack) -> "Iterator[Scene]":
    with redis.Redis.from_url(stack.url) as connection:
        yield Scene(stack, connection)


async def test_instants_that_it_has_no_more_are_cancelled_and_those_that_it_has_too_stay(scene: Scene) -> None:
    await scene.prepare()
    await scene.deploy(every(20))
    scene.at(1)
    await scene.fire()
    assert [(await scene.run(at)).state for at in (20, 40, 60)] == [RunState.SCHEDULED] * 3
    await scene.deploy(every(30))
    assert await scene.ended(20) == await scene.ended(40) == REPLACED
    assert (await scene.run(60)).state is RunState.SCHEDULED
    assert await scene.next() == 30
    await scene.fire()
    assert (await scene.run(30)).state is RunState.SCHEDULED
    assert await scene.next() == 90
    assert {run.state for run in await scene.client.list(states=["scheduled"])} == {RunState.SCHEDULED}
    assert len(await scene.client.list(states=["scheduled"])) == 2  # of 30 and of 60, each once


async def test_an_earlier_instant_is_met_although_a_later_one_was_prepared(scene: Scene) -> None:
    await scene.prepare()
    await scene.deploy({"id": "s", "at": datetime.fromtimestamp(START / 1000 + 50, UTC)})
    scene.at(1)
    await scene.fire()
    await scene.deploy({"id": "s", "at": datetime.fromtimestamp(START / 1000 + 30, UTC)})
    assert await scene.ended(50) == REPLACED
    await scene.fire()
    assert (await scene.run(30)).state is RunState.SCHEDULED


async def test_a_change_of_anything_else_and_a_pause_leave_them(scene: Scene) -> None:
    await scene.prepare()
    await scene.deploy(every(50))
    scene.at(1)
    await scene.fire()
    await scene.deploy(every(50, parameters={"a": 1}), description="other")
    await scene.client.deployments.pause("tick")
    assert (await scene.run(50)).state is RunState.SCHEDULED
    await scene.client.deployments.delete("tick")
    assert (await scene.run(50)).state is RunState.SCHEDULED


async def test_one_that_a_worker_prepares_is_taken_from_it_and_one_that_began_goes_on(scene: Scene) -> None:
    await scene.prepare()
    await scene.deploy(every(10))
    scene.at(1)
    await scene.fire()
    scene.at(9)
    await scene.store.care.promote("default")
    turn = await scene.store.workers.turn("default", "w-1", 0, offer=True, ends=())
    scene.at(11)
    begun = await scene.run(10)
    (token,) = [run.token for run in turn.runs if run.id == begun.id]
    await scene.store.workers.start("default", "w-1", [(begun.id, token, "pid")])
    await scene.deploy(every(3600))
    assert (await scene.run(10)).state is RunState.RUNNING
    assert {(await scene.run(at)).state for at in (20, 30, 40, 50, 60)} == {RunState.CANCELLING}
    turn = await scene.store.workers.turn("default", "w-1", turn.last, offer=False, ends=())
    assert {run for run, _ in turn.orders} == {(await scene.run(at)).id for at in (20, 30, 40, 50, 60)}


async def test_a_schedule_that_is_taken_out_takes_them_along(scene: Scene) -> None:
    await scene.prepare()
    await scene.deploy(every(50), {"id": "other", "interval": 7200})
    scene.at(1)
    await scene.fire()
    await scene.deploy({"id": "other", "interval": 7200})
    assert await scene.ended(50) == REPLACED
    assert scene.connection.keys(f"{ROOT}:prepared:*") == []


async def test_what_jitter_delays_is_replaced_too(scene: Scene) -> None:
    await scene.deploy(every(100, jitter=3600.0))
    scene.at(100)
    await scene.fire()
    delayed = await scene.run(100)
    assert delayed.state is RunState.SCHEDULED
    await scene.deploy(every(50, jitter=3600.0))
    assert (await scene.run(100)).state is RunState.SCHEDULED  # it is an instant of this one too
    await scene.deploy(every(70, jitter=3600.0))
    assert await scene.ended(100) == REPLACED


async def test_an_instant_that_comes_again_has_its_run(scene: Scene) -> None:
    await scene.prepare()
    await scene.deploy(every(50))
    scene.at(1)
    for again in ("", "-2", "-3"):
        await scene.deploy(every(50))
        await scene.fire()
        assert (await scene.run(50, again)).state is RunState.SCHEDULED
        await scene.deploy(every(7200))
        assert (await scene.run(50, again)).reason == "schedule_changed"
    (state,) = (await scene.client.deployments.get("tick")).schedules
    assert (state.fired, state.missed) == (1 + 3, 0)  # that of the start too


async def test_a_deployment_that_moves_leaves_its_runs_where_they_are(scene: Scene) -> None:
    await scene.client.pools.create("elsewhere")
    await scene.prepare()
    await scene.deploy(every(50))
    scene.at(1)
    await scene.fire()
    await scene.client.deployments.move("tick", "elsewhere")
    assert (await scene.run(50)).state is RunState.SCHEDULED
