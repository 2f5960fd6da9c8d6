"""A worker behind a cable of its own that is cut: by the kernel, so nobody is told that anything ended."""

import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dispatcher import RunState
from tests.support.figures import Figures
from tests.support.networks import NEAR, Cable
from tests.support.processes import Child, Children
from tests.support.servers import Server, require
from tests.support.stack import PROGRAMS, Stack, running
from tests.support.waiting import let_pass, wait_until
from tests.support.witness import Witness

LEASE, LONG = 4.0, 30.0
SLACK = 6.0


@pytest.fixture
def cable() -> Iterator[Cable]:
    with Cable() as laid:
        yield laid


@pytest.fixture
def near(cable: Cable, tmp_path: Path) -> Iterator[Server]:
    """A server near the cable."""
    server = Server("redis", settings={"bind": "0.0.0.0", "protected-mode": "no"})
    server.program = cable.wrapped(require("redis"), tmp_path)
    with server:
        yield server


@contextlib.asynccontextmanager
async def far_worker(
    near: Server, cable: Cable, children: Children, witness: Witness, lease: float
) -> AsyncIterator[tuple[Stack, Child]]:
    """A stack with two dispatchers on the server's side, and a worker at the far end."""
    async with running(near.unix_url) as stack:
        for _ in range(2):
            await stack.dispatcher(tick_ms=250)
        words = cable.command(
            cable.far, sys.executable, "-P", PROGRAMS / "worker.py",
            f"redis://{NEAR}:{near.port}/0", json.dumps({"lease": lease, "limit": 4}),
        )  # fmt: skip
        child = children.start(*words, env={**witness.environment, "SLUICE_LOG_FORMAT": "json"})

        async def joined() -> bool:
            assert child.exit_code is None, child.text()
            return bool(await stack.client.workers.list())

        await wait_until(joined, description="the far worker has joined", timeout=60)
        yield stack, child


@pytest.mark.fault(9)
async def test_a_cut_shorter_than_the_lease_shows_nowhere(
    near: Server, cable: Cable, children: Children, witness: Witness, tmp_path: Path, figures: Figures
) -> None:
    gates = [tmp_path / "soon", tmp_path / "late"]
    async with far_worker(near, cable, children, witness, LONG) as (stack, _):
        runs = [await stack.client.publish("wait_for_gate", {"name": g.name, "gate": str(g)}) for g in gates]
        await wait_until(lambda: len(witness.count("start")) == 2, description="both run", timeout=30)
        (before,) = await stack.client.workers.list()
        cable.cut()
        gates[0].touch()
        await wait_until(lambda: witness.count("end")["soon"], description="one ends while nobody can hear of it")
        await let_pass(2.0)
        mended = time.monotonic()
        cable.mend()
        await stack.completed(runs[:1], timeout=5 + SLACK)
        figures.note("cable mended, until an end that waited was told", time.monotonic() - mended)
        gates[1].touch()
        more = await stack.client.publish("work", {"name": "more"})
        await stack.completed([*runs, more], timeout=30)
        assert [worker.id for worker in await stack.client.workers.list()] == [before.id]
        assert {(await stack.client.get(run)).crashes for run in runs} == {0}
        witness.exactly_once({"soon", "late", "more"})


@pytest.mark.fault(9)
@pytest.mark.parametrize("how", ["both ways", "only its answers"])
async def test_a_worker_that_is_cut_off_stops_before_others_start(
    near: Server, cable: Cable, children: Children, witness: Witness, tmp_path: Path, figures: Figures, how: str
) -> None:
    """Longer than the lease: its runs are stopped by its own clock, then they are another's; it joins again."""
    gate = tmp_path / "gate"
    async with far_worker(near, cable, children, witness, LEASE) as (stack, far):
        runs = [await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}) for n in range(3)]
        await wait_until(lambda: len(witness.count("start")) == 3, description="the far worker runs all", timeout=30)
        (before,) = await stack.client.workers.list()
        await stack.worker_process(children, witness, url=near.unix_url, limit=4, lease=LEASE)
        (cable.cut if how == "both ways" else cable.cut_answers)()
        cut, cut_at = time.monotonic(), time.time()
        await wait_until(
            lambda: sum(witness.count("start").values()) == 6, description="all run elsewhere",
            timeout=60,
        )  # fmt: skip
        figures.note(
            f"cut {how}, until its runs started elsewhere, each in a child process (lease {LEASE:g} s)",
            time.monotonic() - cut,
        )
        admitted = [run.admitted_at for run in [await stack.client.get(run) for run in runs] if run.admitted_at]
        took = max(at.timestamp() for at in admitted) - cut_at
        figures.note(f"cut {how}, until its runs were admitted elsewhere (lease {LEASE:g} s)", took)
        assert witness.count("stop") == dict.fromkeys(("r0", "r1", "r2"), 1)
        for name in ("r0", "r1", "r2"):
            assert witness_order(witness, name) == ["start", "stop", "start"], "never at two places at once"
        gate.touch()
        await stack.completed(runs, timeout=30)
        found = [await stack.client.get(run) for run in runs]
        assert {run.state for run in found} == {RunState.COMPLETED}
        # Whose answers alone are lost still hands back what it has stopped.
        assert {run.crashes for run in found} <= ({1} if how == "both ways" else {0, 1})
        mended = time.monotonic()
        cable.mend()

        await both_work(stack, witness, tmp_path / "again")
        assert far.exit_code is None, far.text()
        figures.note(f"cable mended (cut {how}), until the worker took runs again", time.monotonic() - mended)
        if how == "both ways":
            assert before.id not in {worker.id for worker in await stack.client.workers.list()}, "it joined again"


async def both_work(stack: Stack, witness: Witness, gate: Path) -> None:
    """More runs than one worker takes go on at once."""
    runs = [await stack.client.publish("wait_for_gate", {"name": f"m{n}", "gate": str(gate)}) for n in range(8)]
    names = {f"m{n}" for n in range(8)}
    await wait_until(
        lambda: names <= set(witness.count("start")), description="both workers take runs", timeout=10 + SLACK
    )
    gate.touch()
    await stack.completed(runs, timeout=30)


def witness_order(witness: Witness, name: str) -> list[str]:
    return [line.kind for line in witness.lines() if line.name == name]
