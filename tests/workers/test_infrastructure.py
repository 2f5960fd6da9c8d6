"""Types that start something outside the worker: pending until it is up, watched, stopped for certain."""

import anyio
import pytest

from dispatcher import RunFailed, RunState
from tests.support.proxy import FaultProxy
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Outcome, WorkerType


async def state_of(stack: Stack, run: object) -> RunState:
    return (await stack.client.get(run)).state


class Infrastructure(WorkerType):
    """A type that starts something: pending until it is up."""

    type = "other"

    def __init__(self) -> None:
        self.may_start, self.may_end = anyio.Event(), anyio.Event()
        self.calls: list[str] = []
        self.fails = False

    async def start(self, run: object) -> str:
        self.calls.append("start")
        await self.may_start.wait()
        if self.fails:
            raise RuntimeError("no room")
        return "box-7"

    async def watch(self, run: object, infrastructure: str) -> Outcome:
        self.calls.append(f"watch {infrastructure}")
        await self.may_end.wait()
        return Outcome("completed", "", b"\x07")

    async def stop(self, run: object, infrastructure: str, grace: float) -> None:
        self.calls.append(f"stop {infrastructure}")


@pytest.fixture
async def other(stack: Stack) -> Stack:
    await stack.client.pools.create("other", type="other")
    return stack


async def test_infrastructure_is_pending_until_it_is_up(other: Stack) -> None:
    kind = Infrastructure()
    await other.worker(kind, pool="other")
    run = await other.client.publish("f", pool="other")
    await wait_until(lambda: kind.calls, description="it starts")
    assert await state_of(other, run) is RunState.PENDING
    assert len(await other.client.pools.slots("other")) == 1
    kind.may_start.set()
    await wait_until(lambda: "watch box-7" in kind.calls, description="it is watched")
    found = await other.client.get(run)
    assert (found.state, found.infrastructure) == (RunState.RUNNING, "box-7")
    kind.may_end.set()
    assert await other.client.result(run, timeout=5) == 7
    assert kind.calls == ["start", "watch box-7"]


async def test_infrastructure_is_stopped_when_its_run_is_cancelled(other: Stack) -> None:
    kind = Infrastructure()
    kind.may_start.set()
    await other.worker(kind, pool="other")
    run = await other.client.publish("f", pool="other")
    await wait_until(lambda: "watch box-7" in kind.calls, description="it is watched")
    await other.client.cancel(run)

    async def is_over() -> bool:
        return await state_of(other, run) is RunState.CANCELLED

    await wait_until(is_over, description="it is cancelled")
    assert kind.calls == ["start", "watch box-7", "stop box-7"]


@pytest.mark.fault(12)
async def test_infrastructure_goes_on_when_the_server_is_away_as_it_comes_up(other: Stack, redis_url: str) -> None:
    """Within its lease it is this worker's: it is announced when the server is back, and not started again."""
    kind = Infrastructure()
    async with FaultProxy(redis_url) as proxy:
        await other.worker(kind, pool="other", url=proxy.url, lease=30)
        run = await other.client.publish("f", pool="other")
        await wait_until(lambda: kind.calls, description="it starts")
        proxy.refuse()
        kind.may_start.set()
        await wait_until(lambda: proxy.refused > 3, description="the worker has tried to say so")
        assert await state_of(other, run) is RunState.PENDING
        proxy.restore()
        await wait_until(lambda: "watch box-7" in kind.calls, description="it is watched")
        kind.may_end.set()
        assert await other.client.result(run, timeout=10) == 7
    assert kind.calls == ["start", "watch box-7"]


async def test_infrastructure_is_stopped_when_its_type_fails(other: Stack) -> None:
    kind = Infrastructure()

    async def broken(run: object, infrastructure: str) -> Outcome:
        raise RuntimeError(f"lost sight of {infrastructure}")

    kind.watch = broken
    kind.may_start.set()
    await other.worker(kind, pool="other")
    run = await other.client.publish("f", pool="other")
    with pytest.raises(RunFailed, match="lost sight of box-7"):
        await other.client.result(run, timeout=10)
    assert kind.calls == ["start", "stop box-7"]
    assert (await other.client.get(run)).reason == "infrastructure"


async def test_infrastructure_that_does_not_start_ends_its_run(other: Stack) -> None:
    kind = Infrastructure()
    kind.fails = True
    kind.may_start.set()
    await other.worker(kind, pool="other")
    run = await other.client.publish("f", pool="other")

    async def is_over() -> bool:
        return (await state_of(other, run)).is_terminal

    await wait_until(is_over, description="it is over")
    found = await other.client.get(run)
    assert found.state is RunState.CRASHED
    assert "no room" in found.error
