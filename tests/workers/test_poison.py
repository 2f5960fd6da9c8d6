"""Runs that kill their own process: the innocents beside them complete, they become dead letters."""

import os
from pathlib import Path

import anyio
import pytest
import redis

from dispatcher import RunState, codec
from dispatcher.models import HandOff
from tests.support.processes import Children, state
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness
from workers import FunctionWorker, Outcome


@pytest.mark.fault(34, 37)
@pytest.mark.parametrize("how", ["exit", "kill"])
async def test_poison_is_found_and_innocents_are_cleared(
    stack: Stack, children: Children, witness: Witness, how: str
) -> None:
    await stack.dispatcher()
    worker = await stack.worker_process(children, witness)
    innocents = [await stack.client.publish("work", {"name": f"innocent-{n}", "seconds": 1}) for n in range(4)]
    poison = await stack.client.publish("poison", {"name": "poison", "how": how, "seconds": 0.2})
    assert await worker.ended() == (9 if how == "exit" else -9)
    await stack.worker_process(children, witness)
    await stack.completed(innocents, timeout=30)

    async def is_over() -> bool:
        return (await stack.client.get(poison)).state.is_terminal

    await wait_until(is_over, description="the poison is over", timeout=20)
    run = await stack.client.get(poison)
    assert (run.state, run.reason, run.crashes, run.attempt) == (RunState.CRASHED, "worker_lost", 3, 1)
    assert run.worker
    assert {(await stack.client.get(run)).crashes for run in innocents} == {1}
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.zrange("sluice:{default}:dead", 0, -1) == [poison.id.encode()]
    assert witness.count("start")["poison"] == 3
    pids = {line.pid for line in witness.lines() if line.name == "poison"}
    assert len(pids) == 3
    (live,) = await stack.client.workers.list()  # the second worker lost nothing but a child
    assert live.held == 0
    assert live.pid not in pids
    stack.ended_once([*innocents, poison])


async def test_a_run_in_a_child_knows_no_settings_and_may_write_what_it_likes(
    stack: Stack, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a loss, without the loss: the worker type is asked to execute a run that has a crash."""
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://:secret@nowhere")
    kind = FunctionWorker.for_app("witnessing:functions", str(PROGRAMS))

    async def execute(name: str, /, **parameters: object) -> Outcome:
        spec = codec.encode_plain_spec(name, dict(parameters))
        return await kind.watch(HandOff(1, "7", 1, 1, "0" * 32, spec), "")

    environment = codec.unpack((await execute("environment")).result)
    assert "WITNESS" in environment
    assert not [name for name in environment if name.startswith("SLUICE_")]
    pid, parent = codec.unpack((await execute("where")).result)
    assert (pid != os.getpid(), parent) == (True, os.getpid())
    assert codec.unpack((await execute("claim")).result) == ["0" * 32, 7, 1]
    assert await execute("chatter", name="noise") == Outcome("completed", "", codec.pack("noise"))
    assert (await execute("missing")).argument == "not_registered"
    assert (await execute("work")).argument == "invalid_parameters"
    lost = await execute("poison", name="poison", how="exit")
    assert (lost.outcome, codec.unpack(lost.result)) == ("lost", {"error": "its process died with exit code 9"})


async def test_a_run_in_a_child_logs_and_has_children_as_any_other(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    await stack.dispatcher()
    await stack.client.pools.update("default", limit=1)  # so its child needs its slot
    worker = await stack.worker_process(children, witness)
    run = await stack.client.publish("parent_at_second_sight", {"name": "parent", "mark": str(tmp_path / "mark")})
    assert await worker.ended() == 9
    await stack.worker_process(children, witness)
    assert await stack.client.result(run, timeout=30) == "parent-child"
    found = await stack.client.get(run)
    assert (found.crashes, found.attempt) == (1, 1)
    assert [line.text async for line in stack.client.logs(run)] == ["here again"]


async def test_cancelling_ends_the_child(stack: Stack, witness: Witness, tmp_path: Path) -> None:
    kind = FunctionWorker.for_app("witnessing:functions", str(PROGRAMS))
    spec = codec.encode_plain_spec("wait_for_gate", {"name": "n", "gate": str(tmp_path / "never")})
    async with anyio.create_task_group() as group:
        group.start_soon(kind.watch, HandOff(1, "7", 1, 1, "0" * 32, spec), "")
        await wait_until(witness.lines, description="the child runs")
        group.cancel_scope.cancel()
    assert state(witness.lines()[0].pid) in "ZX"
