"""Many die at once, or at the worst moment; and how long it takes until the work goes on elsewhere."""

import json
import signal
import time
from pathlib import Path

import anyio
import pytest

from dispatcher import RunState
from tests.support.figures import Figures
from tests.support.processes import Child, Children
from tests.support.proxy import ThreadedFaultProxy
from tests.support.stack import LEASE, PROGRAMS, Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness

SLACK = 4.0  # two cores, shared with everything else
HOST = 20


@pytest.mark.fault(3)
async def test_a_run_whose_worker_dies_before_its_end_is_told_is_executed_again(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    """The side effect is there, the end is not: the same run id comes again, with a greater claim token."""
    gate = tmp_path / "gate"
    await stack.dispatcher()
    with ThreadedFaultProxy(stack.url) as proxy:
        victim = await stack.worker_process(children, witness, url=proxy.url, limit=4)
        run = await stack.client.publish("wait_for_gate", {"name": "r", "gate": str(gate)})
        await wait_until(lambda: witness.count("start"), description="it runs")
        token = (await stack.client.get(run)).claim_token
        proxy.black_hole()
        gate.touch()
        await wait_until(lambda: witness.count("end")["r"], description="its side effect is there")
        victim.kill()
        await stack.worker_process(children, witness, limit=4)
        await stack.completed([run], timeout=30)
    found = await stack.client.get(run)
    assert (found.crashes, found.claim_token > token) == (1, True)
    assert witness.count("end")["r"] == 2, "at least once, and this time twice"
    stack.ended_once([run])


async def host(stack: Stack, children: Children, witness: Witness) -> Child:
    """Twenty workers in a process of their own."""
    known = len(await stack.client.workers.list())
    child = children.python(
        PROGRAMS / "host.py", stack.url, str(HOST), json.dumps({"lease": LEASE, "limit": 1}), env=witness.environment
    )

    async def all_joined() -> bool:
        assert child.exit_code is None, child.text()
        return len(await stack.client.workers.list()) == known + HOST

    await wait_until(all_joined, description="twenty workers have joined", timeout=60)
    return child


@pytest.mark.fault(8)
async def test_a_host_with_twenty_workers_is_lost_and_all_its_runs_start_on_another(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path, figures: Figures
) -> None:
    gate, count = tmp_path / "gate", HOST
    await stack.dispatcher(tick_ms=250)
    victim = await host(stack, children, witness)
    runs = [
        await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}, keys=[f"k:{n % 5}"])
        for n in range(count)
    ]
    await wait_until(lambda: len(witness.count("start")) == count, description="the victim runs all", timeout=30)
    await host(stack, children, witness)
    victim.send(signal.SIGKILL)
    killed = time.time()

    async def all_again() -> bool:
        states = [await stack.client.get(run) for run in runs]
        return {(run.state, run.crashes) for run in states} == {(RunState.RUNNING, 1)}

    await wait_until(all_again, description="all are admitted elsewhere", timeout=30)
    found = [await stack.client.get(run) for run in runs]
    latest = max(run.admitted_at.timestamp() for run in found if run.admitted_at)
    figures.note(f"host lost, until all {count} runs were admitted elsewhere (lease {LEASE:g} s)", latest - killed)
    assert latest - killed < LEASE + 1 + SLACK
    gate.touch()
    await stack.completed(runs, timeout=90)  # each in a child process, as it was lost before
    stack.ended_once(runs)


@pytest.mark.fault(27, 31)
async def test_three_dispatchers_and_three_schedulers_die_at_once(
    stack: Stack, children: Children, witness: Witness
) -> None:
    """While runs are due and tried again; those that come afterwards go on where they were."""
    await stack.client.pools.update("default", limit=5)
    await stack.worker_process(children, witness, limit=10)
    names = ["dispatcher", "scheduler"] * 3
    services: list[Child] = []

    async def start(name: str) -> None:
        services.append(await stack.service_process(children, name))

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(start, name)
    runs = [await stack.client.publish("work", {"name": f"r{n}"}, delay=0.03 * n) for n in range(60)]
    await wait_until(lambda: len(witness.count("end")) >= 10, description="some are over")
    for service in services:
        service.send(signal.SIGKILL)
    await stack.dispatcher()
    await stack.scheduler()
    await stack.completed(runs, timeout=30)
    witness.exactly_once({f"r{n}" for n in range(60)})
    stack.ended_once(runs)
    assert witness.highest() <= 5


@pytest.mark.fault(6)
async def test_what_a_stopping_worker_hands_back_starts_elsewhere_at_once(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path, figures: Figures
) -> None:
    gate = tmp_path / "gate"
    await stack.dispatcher()
    leaver = await stack.worker_process(children, witness, limit=4, grace=0)
    runs = [await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}) for n in range(4)]
    await wait_until(lambda: len(witness.count("start")) == 4, description="the first worker runs all")
    await stack.worker_process(children, witness, limit=4)
    with anyio.CancelScope(shield=True):
        asked = time.monotonic_ns()
        leaver.send(signal.SIGTERM)
        await wait_until(lambda: sum(witness.count("start").values()) == 8, description="all run elsewhere", timeout=20)
    last = max(line.ns for line in witness.lines() if line.kind == "start")
    figures.note("SIGTERM (grace 0), until all its runs started elsewhere", (last - asked) / 1e9)
    assert (last - asked) / 1e9 < 0.25 + SLACK
    assert leaver.wait() == 0
    gate.touch()
    await stack.completed(runs)
    assert {(await stack.client.get(run)).crashes for run in runs} == {0}
    stack.ended_once(runs)
