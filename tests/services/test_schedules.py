"""Schedules in service: each instant has its run once, whatever becomes of the schedulers."""

import random
from collections import Counter
from typing import Any

import anyio
import pytest
import redis

from dispatcher import InvalidInput, RunState
from dispatcher.client.deploying import finish_move
from dispatcher.deployments import read_deployment
from dispatcher.deployments.instance import occurrence_id
from tests.support.processes import Children
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until
from workers import Functions

START = 1_800_000_000_000
ROOT = "sluice:{default}"


def document(name: str = "tick", **schedule: Any) -> Any:
    more = {name: schedule.pop(name) for name in ("function", "parameters", "pool") if name in schedule}
    return read_deployment({"name": name, "function": "f", "schedules": [{"id": "s", **schedule}], **more})


class Time:
    """The test's clock, for this process and for schedulers of programs/scheduling.py."""

    def __init__(self, stack: Stack, connection: "redis.Redis") -> None:
        self.stack, self.connection = stack, connection
        connection.set(f"{ROOT}:test-clock", 1)
        self.now_ms = START
        self.set(START)

    def set(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.stack.client._store.link.now_ms = now_ms
        self.connection.set("sluice-test:now", now_ms)

    def entered(self) -> list[str]:
        """The ids in the backlog, in order."""
        return [fields[b"i"].decode() for _, fields in self.connection.xrange(f"{ROOT}:backlog:default|")]


@pytest.fixture
def time(stack: Stack) -> Any:
    with redis.Redis.from_url(stack.url) as connection:
        yield Time(stack, connection)


@pytest.mark.fault(27)
@pytest.mark.slow
async def test_no_instant_of_100_000_is_missed_or_doubled(stack: Stack, time: Time, children: Children) -> None:
    """Three schedulers; two of them are killed and started again all the time."""
    names, steps, step = [f"d{number}" for number in range(20)], 100, 50
    for name in names:
        await stack.client.deployments.put(document(name, interval=1))
    chance = random.Random(7)
    schedulers = [children.python(PROGRAMS / "scheduling.py", stack.url, "default") for _ in range(3)]

    def caught_up() -> bool:
        assert schedulers[0].exit_code is None, schedulers[0].text()
        ((_, head),) = time.connection.zrange(f"{ROOT}:schedules", 0, 0, withscores=True)
        return int(head) > time.now_ms

    for number in range(steps):
        time.set(START + (number + 1) * 1000 * step - 1)
        if number % 4 == 0:
            victim = chance.choice([1, 2])
            schedulers[victim].kill()
            schedulers[victim] = children.python(PROGRAMS / "scheduling.py", stack.url, "default")
        await wait_until(caught_up, description=f"step {number} is done", timeout=60, interval=0.002)
    expected = {occurrence_id(name, "s", START + 1000 * at) for name in names for at in range(steps * step)}
    counts = Counter(time.entered())
    assert len(expected) == 100_000
    assert counts.keys() == expected
    assert set(counts.values()) == {1}


async def test_a_schedule_publishes_at_its_instants(stack: Stack) -> None:
    functions, ran = Functions(), []

    @functions.register
    async def f(word: str) -> None:
        ran.append(word)

    await stack.worker(functions)
    await stack.scheduler()
    await stack.client.deployments.put(document(interval=1, parameters={"word": "a"}))
    await wait_until(lambda: len(ran) >= 3, description="it ran three times")
    runs = await stack.client.list(states=["completed"])
    for run in runs:
        assert run.published_at
        assert run.spec.at
        assert run.spec.at % 1000 == 0
        assert run.admitted_at
        assert 0 <= run.admitted_at.timestamp() * 1000 - run.spec.at < 1000
        assert (run.spec.deployment, run.spec.schedule, run.spec.parameters) == ("tick", "s", {"word": "a"})


@pytest.mark.fault(28)
@pytest.mark.parametrize(("misfire", "fired", "missed"), [("skip", 2, 59), ("latest", 1, 60), ("all", 61, 0)])
async def test_after_a_downtime(stack: Stack, time: Time, misfire: str, fired: int, missed: int) -> None:
    """An hour without schedulers: the last two of 61 instants are on time, at most 60 s late."""
    await stack.client.deployments.put(document(interval=60, misfire=misfire))
    time.set(START + 3_600_000)
    await fire(stack)
    (state,) = (await stack.client.deployments.get("tick")).schedules
    assert (len(time.entered()), state.fired, state.missed) == (fired, fired, missed)
    assert occurrence_id("tick", "s", START + 3_600_000) in time.entered()
    assert state.next_at
    assert state.next_at.timestamp() * 1000 == START + 3_660_000


async def fire(stack: Stack) -> float | None:
    from dispatcher.clock import SystemClock
    from scheduler.firing import Firing

    return await Firing(stack.client._store, SystemClock(), 512 * 1024).fire_due("default")


async def test_what_overlaps_is_skipped(stack: Stack, time: Time) -> None:
    await stack.client.deployments.put(document(interval=60, when_full="skip"))
    for minute in range(3):
        time.set(START + 60_000 * minute)
        await fire(stack)
    states = Counter((run.state, run.reason) for run in await stack.client.list())
    assert states == {(RunState.QUEUED, ""): 1, (RunState.CANCELLED, "skipped"): 2}


async def test_jitter_makes_runs_due_later(stack: Stack, time: Time) -> None:
    await stack.client.deployments.put(document(interval=60, jitter=30))
    time.set(START)
    await fire(stack)
    (run,) = await stack.client.list()
    assert run.spec.at
    assert 0 <= run.spec.at - START <= 30_000
    assert run.state is (RunState.SCHEDULED if run.spec.at > START else RunState.QUEUED)


async def test_a_one_off_fires_once(stack: Stack, time: Time) -> None:
    await stack.client.deployments.put(document(at="2027-01-15T08:00:10Z"))
    assert await fire(stack) == 10
    time.set(START + 10_000)
    assert await fire(stack) is None
    assert len(time.entered()) == 1
    await stack.client.deployments.put(document(at="2027-01-15T08:00:10Z").model_copy(update={"description": "again"}))
    assert await fire(stack) is None
    assert len(time.entered()) == 1


async def test_a_move_that_was_left_half_way_is_finished(stack: Stack) -> None:
    """Whoever moved it died after the first step: the schedulers go on where it stopped."""
    await stack.client.pools.create("other")
    await stack.client.deployments.put(document(interval=3600))
    before = await stack.client.deployments.get("tick")
    await stack.client._store.deployments.begin_move("default", "tick", "other")
    await stack.scheduler()

    async def is_there() -> bool:
        found = await stack.client.deployments.list()
        return [stored.pool for stored in found] == ["other"]

    await wait_until(is_there, description="it has moved")
    after = await stack.client.deployments.get("tick")
    assert after.schedules == before.schedules
    with pytest.raises(Exception, match="no deployment"):
        await finish_move(stack.client._store, "default", "tick", "other")
    assert await stack.client.deployments.get("tick") == after


async def test_a_changed_deployment_is_met_by_running_schedulers(stack: Stack) -> None:
    await stack.scheduler()
    await stack.client.deployments.put(document(interval=3600))
    await anyio.wait_all_tasks_blocked()
    await stack.client.deployments.put(document(interval=1, parameters={"word": "b"}))

    async def has_run() -> bool:
        return any(run.spec.parameters == {"word": "b"} for run in await stack.client.list())

    await wait_until(has_run, description="the new one fires")
    await stack.client.deployments.pause("tick")
    count = len(await stack.client.list())
    (state,) = (await stack.client.deployments.get("tick")).schedules
    assert state.next_at is None
    assert len(await stack.client.list()) == count


async def test_a_scheduler_that_was_late_with_its_plan_changes_nothing(stack: Stack, time: Time) -> None:
    await stack.client.deployments.put(document(interval=60))
    store = stack.client._store.deployments
    (due,) = (await store.agenda("default")).schedules
    from dispatcher.store import Fire

    plan = Fire(due, due.next_ms + 60_000, 0, [])
    assert await store.fire("default", [plan._replace(due=due._replace(next_ms=due.next_ms + 60_000))]) == ["stale"]
    assert await store.fire("default", [plan._replace(due=due._replace(edition="7"))]) == ["stale"]
    time.set(START - 1)
    assert await store.fire("default", [plan]) == ["early"]
    time.set(START)
    assert await store.fire("default", [plan, plan]) == ["fired", "stale"]


async def test_a_document_of_a_newer_release_holds_up_nobody_else(stack: Stack) -> None:
    """It is told and left to newer schedulers; runs that are due and other schedules go on."""
    await stack.client.deployments.put(document("newer", interval=1))
    with redis.Redis.from_url(stack.url) as connection:
        packed = connection.hget(f"{ROOT}:deployment:newer", "document")
        connection.hset(f"{ROOT}:deployment:newer", "document", packed.replace(b"function", b"newword!"))
    await stack.client.deployments.put(document("other", interval=1))
    await stack.scheduler()
    later = await stack.client.publish("f", delay=0.3)

    async def goes_on() -> bool:
        found = await stack.client.list()
        return {later.id} <= {run.id for run in found} and any(run.spec.deployment == "other" for run in found)

    await wait_until(goes_on, description="the others go on")

    async def is_queued() -> bool:
        return (await stack.client.get(later)).state is RunState.QUEUED

    await wait_until(is_queued, description="the run that is due is queued")
    with pytest.raises(InvalidInput, match="of a newer release"):
        await stack.client.deployments.get("newer")
