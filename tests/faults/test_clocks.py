"""Clocks that jump, or are wrong: nobody loses a run for it, nothing happens twice."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
import redis

from dispatcher import Published, RunState
from dispatcher.deployments import read_deployment
from dispatcher.models import HandOff
from tests.support.clockshift import ClockShift
from tests.support.figures import Figures
from tests.support.processes import Children
from tests.support.servers import Server
from tests.support.stack import Stack, running
from tests.support.waiting import let_pass, wait_until
from tests.support.witness import Witness
from workers import Outcome, WorkerType

HOUR = 3600.0
LEASE = 4.0


def reclaimed(url: str, runs: Iterable[Published]) -> int:
    """How many of these runs, which began before the first jump, were taken from their workers."""
    wanted = {run.id for run in runs}
    with redis.Redis.from_url(url, decode_responses=True) as connection:
        entries = [fields["e"] for _, fields in connection.xrange("sluice:{default}:events")]
    told = [line.split(" ") for lines in entries for line in lines.split("\n")]
    return sum(len(wanted & set(words)) for kind, *words in told if kind == "requeued")


@pytest.fixture
def shifted(
    tmp_path: Path, new_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> tuple[Server, ClockShift]:
    """A server and the clock that it lives by."""
    shift = ClockShift(tmp_path)
    with monkeypatch.context() as patch:
        for name, value in shift.environment.items():
            patch.setenv(name, value)
        server = new_server("redis")
    assert abs(server_time(server) - time.time()) < HOUR / 2
    shift.jump(HOUR)
    assert server_time(server) - time.time() > HOUR / 2, "its clock can be set"
    shift.jump(0)
    return server, shift


def server_time(server: Server) -> float:
    with redis.Redis.from_url(server.url) as connection:
        seconds, micros = connection.time()
    return seconds + micros / 1e6


@pytest.mark.redis
@pytest.mark.fault(24)
async def test_a_clock_that_jumps_an_hour_takes_no_run_from_anybody(
    shifted: tuple[Server, ClockShift], children: Children, witness: Witness, tmp_path: Path, figures: Figures
) -> None:
    server, shift = shifted
    gate = tmp_path / "gate"
    async with running(server.url) as stack:
        for _ in range(2):
            await stack.dispatcher()
        await stack.scheduler()
        for _ in range(2):
            await stack.worker_process(children, witness, limit=6, lease=LEASE)
        runs = [await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}) for n in range(8)]
        await wait_until(lambda: len(witness.count("start")) == 8, description="all run", timeout=30)
        before = {worker.id for worker in await stack.client.workers.list()}
        for number, seconds in enumerate((HOUR, 0, -HOUR, 0)):
            shift.jump(seconds)
            began = time.monotonic()
            run = await stack.client.publish("work", {"name": f"after{number}"}, delay=0.2)
            await let_pass(1.2 * LEASE)  # more than one lease goes by on the new clock
            if seconds >= 0:
                await wait_until(lambda n=number: witness.count("end")[f"after{n}"], description="it ran", timeout=30)
            assert time.monotonic() - began < 60
            assert run.is_new
        assert reclaimed(server.url, runs) == 0
        figures.note("false reclaims of 8 runs over four jumps of an hour", reclaimed(server.url, runs), "")
        assert {worker.id for worker in await stack.client.workers.list()} == before
        gate.touch()
        await stack.completed(runs, timeout=30)
        assert set(witness.count("start").values()) == {1}


@pytest.mark.redis
@pytest.mark.fault(24)
async def test_a_schedule_fires_no_instant_twice_when_the_clock_goes_back(shifted: tuple[Server, ClockShift]) -> None:
    server, shift = shifted
    async with running(server.url) as stack:
        for _ in range(3):
            await stack.scheduler()
        said = {"name": "etl", "function": "f", "schedules": [{"id": "s", "interval": 2, "misfire": "latest"}]}
        await stack.client.deployments.put(read_deployment(said))

        async def instants() -> list[datetime]:
            return sorted(run.spec.at for run in await stack.client.list(limit=1000) if run.spec.at)

        async def more_than(count: int) -> bool:
            return len(await instants()) > count

        await wait_until(lambda: more_than(1), description="it fires", timeout=30)
        for seconds in (HOUR, -HOUR):
            count = len(await instants())
            shift.jump(seconds)
            if seconds > 0:
                await wait_until(lambda count=count: more_than(count + 1), description="it fires on", timeout=60)
            else:
                await let_pass(5.0)
        found = await instants()
        assert len(found) == len(set(found)), "no instant twice"


class Slow(WorkerType):
    """Takes its time to prepare a run; notes what it was asked."""

    type = "slow"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.is_prepared = anyio.Event()

    async def prepare(self, run: HandOff) -> None:
        self.said.append("prepare")
        await self.is_prepared.wait()
        self.said.append("prepared")

    async def start(self, run: HandOff) -> str:
        self.said.append("start")
        return "box"

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        return Outcome("completed", "", b"\xc0")

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:
        self.said.append("stop")


@pytest.mark.redis
@pytest.mark.fault(24)
async def test_a_prepared_run_does_not_sleep_through_a_clock_that_goes_back_and_returns(
    shifted: tuple[Server, ClockShift],
) -> None:
    server, shift = shifted
    kind = Slow()
    async with running(server.url) as stack:
        await stack.client.pools.create("slow", type="slow")
        await stack.scheduler()
        worker = await stack.worker(kind, pool="slow", prefetch=60, lease=60)
        at = datetime.now(UTC) + timedelta(seconds=2)
        await stack.client.publish(entrypoint="a.py:f", pool="slow", at=at)
        await wait_until(lambda: kind.said, description="it is being prepared", timeout=30)
        shift.jump(-HOUR)
        assert worker._session
        skew = worker._session.clock_skew
        await wait_until(lambda: skew() > HOUR / 2, description="the worker has heard of it", timeout=60)
        kind.is_prepared.set()
        await wait_until(lambda: kind.said[-1] == "prepared", description="it is due in an hour")
        shift.jump(0)
        await wait_until(lambda: kind.said[-1] == "start", description="it starts", timeout=60)


@pytest.mark.fault(25)
@pytest.mark.parametrize("seconds", [600.0, -600.0])
async def test_a_worker_and_a_scheduler_whose_clock_is_ten_minutes_wrong_do_as_others(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = ClockShift(tmp_path)
    shift.jump(seconds)
    with monkeypatch.context() as patch:
        for name, value in shift.environment.items():
            patch.setenv(name, value)
        child = children.python("-c", "import time; print(time.time())")
        await child.ended()
        assert abs(float(child.text()) - time.time() - seconds) < 300, "its clock is wrong"
        await stack.worker_process(children, witness, limit=4)
        for name in ("dispatcher", "scheduler"):
            await stack.service_process(children, name)
    began = datetime.now(UTC)
    runs = [await stack.client.publish("work", {"name": f"r{n}", "seconds": 3}, delay=1) for n in range(4)]
    await stack.completed(runs, timeout=60)
    found = [await stack.client.get(run) for run in runs]
    assert {(run.state, run.crashes) for run in found} == {(RunState.COMPLETED, 0)}
    assert all((run.admitted_at or began).timestamp() - began.timestamp() >= 0.9 for run in found), "not early"
    witness.exactly_once({f"r{n}" for n in range(4)})
