"""Infrastructure that outlives its worker: its run keeps its slots and its claim, and another worker adopts it."""

from collections.abc import Callable

import anyio
import pytest
import redis

from dispatcher import RunState
from tests.support.proxy import FaultProxy
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Outcome, WorkerType


class Harbour:
    """What is outside the workers: boxes by name, open until somebody ends them."""

    def __init__(self) -> None:
        self.boxes: dict[str, anyio.Event] = {}
        self.calls: list[str] = []

    def called(self, *words: str) -> Callable[[], bool]:
        return lambda: all(word in self.calls for word in words)


class Boxes(WorkerType):
    type = "boxes"

    def __init__(self, harbour: Harbour, name: str, site: str = "here") -> None:
        self.harbour, self.name, self.site = harbour, name, site

    def _say(self, what: str) -> None:
        self.harbour.calls.append(f"{self.name} {what}")

    async def start(self, run: object) -> str:
        name = f"box-{run.attempt}-{run.crashes}"
        self._say(f"start {name}")
        self.harbour.boxes[name] = anyio.Event()
        return name

    async def watch(self, run: object, infrastructure: str) -> Outcome:
        self._say(f"watch {infrastructure}")
        await self.harbour.boxes[infrastructure].wait()
        return Outcome("completed", "", b"\x07")

    async def stop(self, run: object, infrastructure: str, grace: float) -> None:
        self._say(f"stop {infrastructure}")
        self.harbour.boxes.pop(infrastructure, None)

    async def adopt(self, run: object, infrastructure: str) -> bool:
        self._say(f"adopt {infrastructure}")
        return infrastructure in self.harbour.boxes

    async def release(self, run: object) -> None:
        self._say("release")

    async def forget(self, run: object) -> None:
        self._say("forget")


@pytest.fixture
def harbour() -> Harbour:
    return Harbour()


@pytest.fixture
async def boxes(stack: Stack) -> Stack:
    await stack.client.pools.create("boxes", type="boxes", limit=1)
    await stack.dispatcher()
    return stack


async def started(boxes: Stack, harbour: Harbour, kind: Boxes, **options: object) -> tuple[object, object]:
    """A worker and its run, which runs."""
    worker = await boxes.worker(kind, pool="boxes", **options)
    run = await boxes.client.publish("f", pool="boxes")

    async def runs() -> bool:
        return (await boxes.client.get(run)).state is RunState.RUNNING

    await wait_until(runs, description="it runs")
    await wait_until(harbour.called(f"{kind.name} watch box-1-0"), description="its worker knows")
    return worker, run


async def token_of(boxes: Stack, run: object) -> str:
    with redis.Redis.from_url(boxes.url, decode_responses=True) as connection:
        return connection.hget(f"sluice:{{boxes}}:run:{run.id}", "token")


@pytest.mark.fault(39)
async def test_a_worker_that_is_lost_is_followed_by_another(boxes: Stack, harbour: Harbour, redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy:
        _, run = await started(boxes, harbour, Boxes(harbour, "a"), url=proxy.url)
        token = await token_of(boxes, run)
        await boxes.worker(Boxes(harbour, "b"), pool="boxes", lease=30)
        proxy.refuse()
        proxy.cut()
        await wait_until(harbour.called("b watch box-1-0"), description="the other one watches", timeout=20)
        assert len(await boxes.client.pools.slots("boxes")) == 1, "its slot was its own all the while"
        assert await token_of(boxes, run) == token, "it is the same claim"
        harbour.boxes["box-1-0"].set()
        assert await boxes.client.result(run, timeout=10) == 7
        found = await boxes.client.get(run)
        assert (found.attempt, found.crashes) == (1, 0)
        await wait_until(harbour.called("b forget"), description="what was kept of it is done away with")
        assert [call for call in harbour.calls if "start" in call or "stop" in call] == ["a start box-1-0"]
        assert "a forget" not in harbour.calls
        proxy.restore()


async def test_a_worker_that_goes_leaves_its_runs_to_the_next(boxes: Stack, harbour: Harbour) -> None:
    worker, run = await started(boxes, harbour, Boxes(harbour, "a"), grace=0)
    worker.stop()
    await wait_until(harbour.called("a release"), description="it lets go")

    async def is_orphan() -> bool:
        found = await boxes.client.get(run)
        return found.state is RunState.RUNNING and not found.worker

    await wait_until(is_orphan, description="nobody holds it")
    second = await boxes.client.publish("f", pool="boxes")
    await boxes.worker(Boxes(harbour, "b"), pool="boxes", limit=5)
    await wait_until(harbour.called("b watch box-1-0"), description="the other one watches")
    assert (await boxes.client.get(second)).state is RunState.QUEUED, "the pool has one slot"
    harbour.boxes["box-1-0"].set()
    assert await boxes.client.result(run, timeout=10) == 7
    await wait_until(lambda: "b start box-1-0" in harbour.calls, description="the second one starts")
    assert not [call for call in harbour.calls if "stop" in call]


async def test_infrastructure_that_is_gone_costs_a_crash(boxes: Stack, harbour: Harbour) -> None:
    worker, run = await started(boxes, harbour, Boxes(harbour, "a"), grace=0)
    worker.stop()
    await wait_until(harbour.called("a release"), description="it lets go")
    harbour.boxes.clear()
    await boxes.worker(Boxes(harbour, "b"), pool="boxes")
    await wait_until(harbour.called("b adopt box-1-0", "b watch box-1-1"), description="it is started again")
    harbour.boxes["box-1-1"].set()
    assert await boxes.client.result(run, timeout=10) == 7
    assert (await boxes.client.get(run)).crashes == 1


async def test_an_orphan_that_is_cancelled_is_stopped_by_who_adopts_it(boxes: Stack, harbour: Harbour) -> None:
    worker, run = await started(boxes, harbour, Boxes(harbour, "a"), grace=0)
    worker.stop()
    await wait_until(harbour.called("a release"), description="it lets go")
    await wait_until(lambda: not worker.is_live, description="it has left")
    await boxes.client.cancel(run)
    assert (await boxes.client.get(run)).state is RunState.CANCELLING, "its box is still there"
    await boxes.worker(Boxes(harbour, "b"), pool="boxes")

    async def is_over() -> bool:
        return (await boxes.client.get(run)).state is RunState.CANCELLED

    await wait_until(is_over, description="it is cancelled")
    assert "b stop box-1-0" in harbour.calls
    assert harbour.boxes == {}


@pytest.mark.fault(39)
async def test_an_orphan_whose_site_is_gone_is_started_elsewhere(boxes: Stack, harbour: Harbour) -> None:
    worker, run = await started(boxes, harbour, Boxes(harbour, "a"), grace=0)
    worker.stop()
    await wait_until(harbour.called("a release"), description="it lets go")
    await boxes.worker(Boxes(harbour, "b", site="there"), pool="boxes", lease=30)
    await wait_until(harbour.called("b start box-1-1"), description="it starts at the other site", timeout=60)
    harbour.boxes["box-1-1"].set()
    assert await boxes.client.result(run, timeout=10) == 7
    assert (await boxes.client.get(run)).crashes == 1


async def test_an_end_whose_answer_was_lost_is_forgotten_all_the_same(
    boxes: Stack, harbour: Harbour, redis_url: str
) -> None:
    async with FaultProxy(redis_url) as proxy:
        _, run = await started(boxes, harbour, Boxes(harbour, "a"), url=proxy.url, lease=30)
        fault = proxy.lose_reply(run.id.encode())  # of the turn that hands in its end
        harbour.boxes["box-1-0"].set()
        assert await boxes.client.result(run, timeout=20) == 7
        await wait_until(fault.happened.is_set, description="the answer is lost")
        await wait_until(harbour.called("a forget"), description="what was kept of it is done away with", timeout=20)


async def test_a_lease_that_is_not_trusted_ends_nothing_that_lives_on(
    stack: Stack, harbour: Harbour, redis_url: str
) -> None:
    """Nobody took it meanwhile: when the server is back, the worker still has it, and hands in its end."""
    await stack.client.pools.create("boxes", type="boxes")
    async with FaultProxy(redis_url) as proxy:
        worker, run = await started(stack, harbour, Boxes(harbour, "a"), url=proxy.url)
        proxy.refuse()
        proxy.cut()
        await wait_until(lambda: not worker.is_live, description="it trusts its lease no more", timeout=20)
        harbour.boxes["box-1-0"].set()
        proxy.restore()
        assert await stack.client.result(run, timeout=20) == 7
    assert not [call for call in harbour.calls if "stop" in call or "release" in call]
