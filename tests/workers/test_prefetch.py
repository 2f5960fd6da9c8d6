"""Runs that are prepared before they are due: they hold their slots, and their code starts at its time."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from dispatcher import InvalidInput, RunState
from dispatcher.models import HandOff
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions, FunctionWorker, Outcome, Worker, WorkerOptions, WorkerType
from workers.process import ProcessWorker


class Noting(WorkerType):
    """Notes what is asked of it, and when."""

    type = "other"

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.started_at: dict[str, float] = {}
        self.may_end = anyio.Event()

    def names(self, call: str) -> list[str]:
        return [run for said, run in self.calls if said == call]

    async def prepare(self, run: HandOff) -> None:
        self.calls.append(("prepare", run.id))

    async def start(self, run: HandOff) -> str:
        self.calls.append(("start", run.id))
        self.started_at[run.id] = time.time()
        return "box"

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        await self.may_end.wait()
        return Outcome("completed", "", b"\x07")

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:
        self.calls.append(("stop", run.id))


@pytest.fixture
async def other(stack: Stack) -> Stack:
    await stack.client.pools.create("other", type="other")
    await stack.scheduler()
    return stack


async def publish(stack: Stack, seconds: float, **options: Any) -> tuple[str, float]:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    run = await stack.client.publish(entrypoint="a.py:f", pool="other", at=at, **options)
    return run.id, at.timestamp()


async def test_a_run_is_prepared_holds_its_slot_and_starts_at_its_time(other: Stack) -> None:
    kind = Noting()
    await other.worker(kind, pool="other", prefetch=60)
    run, due = await publish(other, 1.5)
    await wait_until(lambda: kind.names("prepare") == [run], description="it is prepared")
    found = await other.client.get(run, pool="other")
    assert (found.state, found.labels) == (RunState.PENDING, ())
    assert len(await other.client.pools.slots("other")) == 1
    assert kind.names("start") == []
    await wait_until(lambda: kind.names("start") == [run], description="it starts")
    assert kind.started_at[run] >= due - 0.002
    kind.may_end.set()
    assert await other.client.result(run, 10, pool="other") == 7


async def test_what_is_due_goes_before_what_is_prepared(other: Stack) -> None:
    kind = Noting()
    early = [(await publish(other, 30))[0] for _ in range(2)]
    worker = await other.worker(kind, pool="other", prefetch=60, limit=1)
    early += [(await publish(other, 30))[0] for _ in range(2)]
    await wait_until(lambda: len(kind.names("prepare")) == 1, description="one is prepared")
    now = await other.client.publish(entrypoint="a.py:f", pool="other")
    (held,) = await other.client.pools.slots("other")
    await other.client.cancel(held.run_id, pool="other")
    await wait_until(lambda: now.id in kind.names("start"), description="the one that is due starts")
    assert len(kind.names("prepare")) == 1
    assert worker.is_live


async def test_a_prepared_run_can_be_cancelled_and_handed_back(other: Stack) -> None:
    kind = Noting()
    worker = await other.worker(kind, pool="other", prefetch=60)
    first, _ = await publish(other, 30)
    second, _ = await publish(other, 30)
    await wait_until(lambda: len(kind.names("prepare")) == 2, description="both are prepared")
    await other.client.cancel(first, pool="other")

    async def state(run: str) -> RunState:
        return (await other.client.get(run, pool="other")).state

    async def cancelled() -> bool:
        return await state(first) is RunState.CANCELLED

    await wait_until(cancelled, description="it is cancelled")
    worker.stop()

    async def is_back() -> bool:
        found = await other.client.get(second, pool="other")
        return (found.state, found.crashes) == (RunState.QUEUED, 0)

    await wait_until(is_back, description="it is handed back")
    assert sorted(kind.names("stop")) == sorted([first, second])
    assert kind.names("start") == []


async def test_a_prepared_run_of_a_worker_that_is_gone_starts_at_its_time_elsewhere(other: Stack) -> None:
    first, second = Noting(), Noting()
    worker = await other.worker(first, pool="other", prefetch=60)
    run, due = await publish(other, 2)
    await wait_until(lambda: first.names("prepare") == [run], description="it is prepared")
    worker.stop()
    await other.worker(second, pool="other")  # this one prepares nothing
    await wait_until(lambda: second.names("start") == [run], description="it starts")
    assert second.started_at[run] >= due - 0.002
    assert second.names("prepare") == []


async def test_a_schedule_fires_ahead_of_its_time_where_runs_are_prepared(stack: Stack, tmp_path: Path) -> None:
    from dispatcher.deployments import read_deployment

    await stack.client.pools.create("shell", type="process")
    await stack.scheduler()
    await stack.worker(ProcessWorker(), pool="shell", prefetch=30)
    out = tmp_path / "out"
    script = f"date +%s%N >> {out}"
    await stack.client.deployments.put(
        read_deployment(
            {"name": "tick", "pool": "shell", "command": script, "shell": True, "schedules": [{"interval": 2}]}
        )
    )

    async def done() -> int:
        return sum(run.state is RunState.COMPLETED for run in await stack.client.list(pool="shell"))

    async def twice() -> bool:
        return await done() >= 2

    await wait_until(twice, description="it ran twice", timeout=20)
    starts = [int(line) / 1e9 for line in out.read_text().split()]
    assert all(start % 2 < 1.0 for start in starts), "its code starts at its time, not before"
    pending = await stack.client.list(states=["pending"], pool="shell")
    assert pending, "those to come are prepared"


async def test_workers_of_functions_have_nothing_to_prepare(redis_url: str) -> None:
    with pytest.raises(InvalidInput, match="nothing to prepare"):
        Worker(redis_url, FunctionWorker(Functions()), WorkerOptions(prefetch=5))
    with pytest.raises(InvalidInput, match="3,600"):
        WorkerOptions(prefetch=5000)
