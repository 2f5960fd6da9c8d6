"""How runs and workers are made to end: cancel, timeout, stop, drain, and what cannot be ended."""

import asyncio
from pathlib import Path

import pytest

from dispatcher import RunFailed, RunState
from dispatcher.cli.failures import ExitCode
from tests.support.processes import Children
from tests.support.stack import LEASE, Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness


async def begun(witness: Witness, count: int) -> None:
    await wait_until(lambda: sum(witness.count("start").values()) == count, description=f"{count} have begun")


async def test_a_plain_function_that_looks_ends_when_it_is_cancelled(
    stack: Stack, children: Children, witness: Witness
) -> None:
    worker = await stack.worker_process(children, witness)
    run = await stack.client.publish("end_when_asked", {"name": "r"})
    await begun(witness, 1)
    await stack.client.cancel(run)
    with pytest.raises(RunFailed, match="cancelled"):
        await stack.client.result(run, 10)
    assert witness.count("end") == {"r": 1}
    assert worker.stop() == 0


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_a_plain_function_that_goes_on_ends_its_worker(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path, how: str
) -> None:
    """Its slot is held until the process is gone for certain; the others are handed back and cost no attempt."""
    gate = tmp_path / "gate"
    await stack.dispatcher()
    await stack.client.pools.update("default", limit=2)
    worker = await stack.worker_process(children, witness, limit=2, grace=0.2, cancel_grace=0.3)
    stuck = await stack.client.publish(
        "wait_for_gate_in_thread", {"name": "stuck", "gate": str(gate)}, timeout=0.3 if how == "timeout" else None
    )
    other = await stack.client.publish("wait_for_gate", {"name": "other", "gate": str(gate)})
    behind = await stack.client.publish("work", {"name": "behind"})
    await begun(witness, 2)
    if how == "cancel":
        assert await stack.client.cancel(stuck) == ["cancelling"]
    assert await worker.ended(20) == ExitCode.STUCK
    found = await stack.client.get(stuck)
    assert (found.state, found.reason) == (RunState.CANCELLING, "stuck")
    assert found.id in {slot.run_id for slot in await stack.client.pools.slots("default")}
    assert "run.stuck" in worker.text()
    gate.touch()
    await stack.worker_process(children, witness, limit=2)
    assert await stack.client.result(other, 10) == "other"
    assert await stack.client.result(behind, 10) == "behind"
    assert (await stack.client.get(other)).attempt == 1
    with pytest.raises(RunFailed):
        await stack.client.result(stuck, LEASE + 10)
    found = await stack.client.get(stuck)
    expected = (RunState.CANCELLED, "asked") if how == "cancel" else (RunState.FAILED, "timed_out")
    assert (found.state, found.reason) == expected
    assert witness.count("end") == {"other": 1, "behind": 1}


async def test_a_stuck_run_with_retries_is_tried_again_elsewhere(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    await stack.dispatcher()
    worker = await stack.worker_process(children, witness, grace=0.1, cancel_grace=0.2)
    run = await stack.client.publish(
        "wait_for_gate_in_thread", {"name": "r", "gate": str(gate)}, timeout=0.2, retries=1
    )
    assert await worker.ended(20) == ExitCode.STUCK
    gate.touch()
    await stack.scheduler()
    await stack.worker_process(children, witness)
    assert await stack.client.result(run, 20) == "r"
    assert (await stack.client.get(run)).attempt == 2


@pytest.mark.fault(6)
async def test_stopping_hands_back_after_the_grace_what_still_runs(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    first = await stack.worker_process(children, witness, limit=2, grace=0.5)
    quick = await stack.client.publish("work", {"name": "quick", "seconds": 0.2})
    slow = await stack.client.publish("wait_for_gate", {"name": "slow", "gate": str(gate)})
    await begun(witness, 2)
    assert await asyncio.to_thread(first.stop) == 0
    assert (await stack.client.get(quick)).state == RunState.COMPLETED
    found = await stack.client.get(slow)
    assert (found.state, found.attempt, found.crashes) == (RunState.QUEUED, 1, 0)
    gate.touch()
    await stack.worker_process(children, witness)
    assert await stack.client.result(slow, 10) == "slow"
    assert (await stack.client.get(slow)).attempt == 1


@pytest.mark.parametrize("how", ["drain", "stop"])
async def test_a_worker_is_told_to_go_from_afar(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path, how: str
) -> None:
    gate = tmp_path / "gate"
    child = await stack.worker_process(children, witness, grace=0.3)
    (worker,) = await stack.client.workers.list()
    run = await stack.client.publish("wait_for_gate", {"name": "r", "gate": str(gate)})
    await begun(witness, 1)
    if how == "drain":
        await stack.client.workers.drain(worker.id)
        behind = await stack.client.publish("work", {"name": "behind"})
        gate.touch()
        assert await child.ended() == 0
        assert (await stack.client.get(run)).state == RunState.COMPLETED
        assert (await stack.client.get(behind)).state == RunState.QUEUED
    else:
        await stack.client.workers.stop(worker.id)
        assert await child.ended() == 0
        found = await stack.client.get(run)
        assert (found.state, found.attempt) == (RunState.QUEUED, 1)


@pytest.mark.fault(6, 46)
@pytest.mark.slow
async def test_four_workers_are_replaced_one_by_one_under_load(
    stack: Stack, children: Children, witness: Witness
) -> None:
    """Nothing is lost, nothing is cancelled, no attempt and no crash is charged, limits hold."""
    await stack.dispatcher()
    await stack.client.pools.update("default", limit=12)
    workers = [await stack.worker_process(children, witness, limit=4, grace=0.3, name=f"old-{n}") for n in range(4)]
    runs = await stack.client.publish_many([])
    published = [
        await stack.client.publish("work", {"name": f"r{n}", "seconds": 0.05 if n % 10 else 2.0}) for n in range(600)
    ]
    runs += published
    for number, old in enumerate(workers):
        await stack.worker_process(children, witness, limit=4, grace=0.3, name=f"new-{number}")
        assert await asyncio.to_thread(old.stop) == 0
    await stack.completed(runs, timeout=60)
    found = [await stack.client.get(run) for run in runs]
    assert {(run.state, run.attempt, run.crashes) for run in found} == {(RunState.COMPLETED, 1, 0)}
    assert witness.count("end") == {f"r{n}": 1 for n in range(600)}
    assert witness.highest() <= 12
    stack.ended_once(runs)
