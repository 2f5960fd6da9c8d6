"""Processes that die or freeze: nothing is lost, nothing ends twice, and what was lost starts elsewhere in time."""

import time
from pathlib import Path

import anyio
import pytest

from dispatcher import RunState
from tests.support.figures import Figures
from tests.support.processes import Children
from tests.support.stack import LEASE, Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness

SLACK = 1.5  # two cores, shared with everything else


@pytest.mark.fault(1)
async def test_runs_of_a_killed_worker_start_elsewhere_within_a_lease_and_a_second(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path, figures: Figures
) -> None:
    gate = tmp_path / "gate"
    await stack.dispatcher(tick_ms=250)
    await stack.client.pools.update("default", limit=8)
    victim = await stack.worker_process(children, witness, limit=4)
    runs = [
        await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}, keys=[f"k:{n % 2}"])
        for n in range(4)
    ]
    await wait_until(lambda: len(witness.count("start")) == 4, description="the victim runs all")
    await stack.worker_process(children, witness, limit=8)
    victim.send(9)
    killed = time.time()
    witness.died(victim.pid)
    await wait_until(lambda: sum(witness.count("start").values()) == 8, description="all run again", timeout=20)
    found = [await stack.client.get(run) for run in runs]
    assert {(run.state, run.crashes) for run in found} == {(RunState.RUNNING, 1)}
    took = max(run.admitted_at.timestamp() for run in found if run.admitted_at) - killed
    figures.note(f"SIGKILL, until all its runs were admitted elsewhere (lease {LEASE:g} s)", took)
    assert took < LEASE + 1 + SLACK
    gate.touch()
    await stack.completed(runs)
    stack.ended_once(runs)
    assert witness.count("end") == dict.fromkeys(("r0", "r1", "r2", "r3"), 1)
    assert witness.highest() <= 8


@pytest.mark.fault(4, 49)
async def test_a_worker_frozen_beyond_its_lease_finishes_nothing_late(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    await stack.dispatcher()
    frozen = await stack.worker_process(children, witness, limit=4)
    (old,) = await stack.client.workers.list()
    runs = [await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}) for n in range(4)]
    await wait_until(lambda: len(witness.count("start")) == 4, description="the first worker runs all")
    frozen.freeze()
    witness.died(frozen.pid)
    other = await stack.worker_process(children, witness, limit=4)
    await wait_until(lambda: sum(witness.count("start").values()) == 8, description="all run elsewhere", timeout=20)
    gate.touch()
    await stack.completed(runs)
    before = [await stack.client.get(run) for run in runs]
    frozen.thaw()

    async def is_back() -> bool:
        return {frozen.pid, other.pid} == {worker.pid for worker in await stack.client.workers.list()}

    await wait_until(is_back, description="the frozen worker has joined again")
    assert old.id not in {worker.id for worker in await stack.client.workers.list()}
    assert [await stack.client.get(run) for run in runs] == before
    assert {(run.state, run.crashes) for run in before} == {(RunState.COMPLETED, 1)}
    stack.ended_once(runs)
    more = [await stack.client.publish("work", {"name": f"m{n}"}) for n in range(20)]
    await stack.completed(more)
    stack.ended_once([*runs, *more])


@pytest.mark.fault(4)
async def test_a_worker_frozen_for_less_than_its_lease_goes_on(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    await stack.dispatcher()
    worker = await stack.worker_process(children, witness, lease=6)
    runs = [await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}) for n in range(4)]
    await wait_until(lambda: len(witness.count("start")) == 4, description="the worker runs all")
    worker.freeze()
    late = await stack.client.publish("work", {"name": "late"})  # pushed to a worker that does not read
    with anyio.move_on_after(1):
        await wait_until(lambda: witness.count("start")["late"], description="it cannot")
    worker.thaw()
    gate.touch()
    await stack.completed([*runs, late])
    witness.exactly_once({"r0", "r1", "r2", "r3", "late"})
    stack.ended_once([*runs, late])
    assert {(await stack.client.get(run)).crashes for run in runs} == {0}


@pytest.mark.fault(2)
async def test_a_push_to_a_dead_worker_starts_elsewhere(stack: Stack, children: Children, witness: Witness) -> None:
    await stack.dispatcher()
    frozen = await stack.worker_process(children, witness)
    await stack.completed([await stack.client.publish("work", {"name": "first"})])
    frozen.freeze()
    run = await stack.client.publish("work", {"name": "pushed"})
    assert (await stack.client.get(run)).state is RunState.RUNNING  # in the inbox of one who does not read
    await stack.worker_process(children, witness)
    frozen.kill()
    await stack.completed([run])
    assert (await stack.client.get(run)).crashes == 1
    witness.exactly_once({"first", "pushed"})


@pytest.mark.fault(1)
async def test_a_killed_worker_is_missed_when_the_dispatcher_comes_later(
    stack: Stack, children: Children, witness: Witness
) -> None:
    """No dispatcher saw the worker die: its runs are taken back one lease after a dispatcher began to look."""
    victim = await stack.worker_process(children, witness)
    run = await stack.client.publish("work", {"name": "long", "seconds": 1})
    await wait_until(lambda: witness.count("start"), description="it runs")
    victim.kill()
    await stack.worker_process(children, witness)
    await stack.service_process(children, "dispatcher")
    await stack.completed([run])
    assert (await stack.client.get(run)).crashes == 1
    stack.ended_once([run])


async def test_the_hot_path_needs_no_service(stack: Stack, children: Children, witness: Witness) -> None:
    """Every dispatcher and scheduler is down: what is published is admitted under its limits and finished."""
    await stack.client.pools.update("default", limit=6)
    await stack.client.limits.set("tenant:*", 1)
    await stack.client.queues.create("slow", priority=5, limit=2)
    for n in range(2):
        await stack.worker_process(children, witness, limit=10, name=f"w{n}")
    runs = []
    for n in range(120):
        runs.append(
            await stack.client.publish(
                "work", {"name": f"t{n % 12}.r{n}", "seconds": 0.01},
                keys=[f"tenant:{n % 12}"], queue="slow" if n % 3 == 0 else "default",
            )
        )  # fmt: skip
    await stack.completed(runs)
    stack.ended_once(runs)
    witness.exactly_once({f"t{n % 12}.r{n}" for n in range(120)})
    assert witness.highest() <= 6
    for tenant in range(12):
        assert witness.highest(lambda name, tenant=tenant: name.startswith(f"t{tenant}.")) == 1


@pytest.mark.fault(30)
async def test_services_may_die_at_any_moment(stack: Stack, children: Children, witness: Witness) -> None:
    """Dispatchers and schedulers are killed and started while runs are delayed, tried again and reclaimed."""
    await stack.client.pools.update("default", limit=5)
    await stack.worker_process(children, witness, limit=10)
    runs = []
    for _ in range(3):
        services = [await stack.service_process(children, name) for name in ("dispatcher", "scheduler")]
        for _ in range(20):
            n = len(runs)
            runs.append(await stack.client.publish("work", {"name": f"r{n}"}, delay=0.05 * (n % 5)))
        for service in services:
            service.kill()
    await stack.dispatcher()
    await stack.scheduler()
    await stack.completed(runs)
    witness.exactly_once({f"r{n}" for n in range(60)})
    stack.ended_once(runs)
    assert witness.highest() <= 5
