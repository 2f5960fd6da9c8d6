"""Outages of many lengths, and a slow network: nobody who is well is taken for dead. SLUICE_OUTAGES=60: long."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
import redis

from tests.support.figures import Figures
from tests.support.processes import Children
from tests.support.proxy import FaultProxy
from tests.support.servers import Server
from tests.support.stack import Stack, running
from tests.support.waiting import let_pass, wait_until
from tests.support.witness import Witness

LEASE, RUNS = 3.0, 6
LENGTHS = [float(word) for word in os.environ.get("SLUICE_OUTAGES", f"1 {LEASE} {2 * LEASE}").split()]


def reclaimed(url: str) -> int:
    """Runs that were taken from workers, as the server counts them."""
    with redis.Redis.from_url(url) as connection:
        return int(connection.hget("sluice:{default}:counts:default", "reclaimed") or 0)


@pytest.mark.fault(12, 13)
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "frozen"])
async def test_no_outage_takes_a_run_from_a_worker_that_is_well(
    new_server: Callable[..., Server],
    children: Children,
    witness: Witness,
    tmp_path: Path,
    figures: Figures,
    kill: bool,
) -> None:
    server = new_server("valkey", aof=True, settings={"appendfsync": "always"})
    gate = tmp_path / "gate"
    async with running(server.url) as stack:
        for _ in range(2):
            await stack.dispatcher()
        for n in range(2):
            await stack.worker_process(children, witness, limit=RUNS // 2, lease=LEASE, name=f"w{n}")
        runs = [await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}) for n in range(RUNS)]
        await wait_until(lambda: len(witness.count("start")) == RUNS, description="all run", timeout=30)
        before = {worker.id for worker in await stack.client.workers.list()}
        for seconds in LENGTHS:
            (server.kill if kill else server.freeze)()
            await let_pass(seconds)
            (server.start if kill else server.thaw)()
            back = time.monotonic()
            await wait_until(lambda: all_run(witness), description="all run", timeout=30)
            figures.note("longest outage of the test", seconds)
            figures.note("Redis back, until all runs went on", time.monotonic() - back)
            await let_pass(LEASE / 2)  # whoever were to be taken for dead would be by now
        figures.note(f"false reclaims of {RUNS} runs", reclaimed(server.url), "")
        assert reclaimed(server.url) == 0
        assert {worker.id for worker in await stack.client.workers.list()} == before
        gate.touch()
        await stack.completed(runs, timeout=30)
        assert {(await stack.client.get(run)).crashes for run in runs} == {0}
        assert set(witness.count("end").values()) == {1}


def all_run(witness: Witness) -> bool:
    """Whether each goes on: it began once more than it was stopped."""
    return all(witness.count("start")[f"r{n}"] == witness.count("stop")[f"r{n}"] + 1 for n in range(RUNS))


@pytest.mark.fault(11)
async def test_a_network_that_is_half_a_second_slow_costs_no_lease(
    stack: Stack, children: Children, witness: Witness, figures: Figures
) -> None:
    """Half a second, give or take, each way: heartbeats give up after a sixth of the lease, so it is 6 s here."""
    async with FaultProxy(stack.url) as proxy:
        for _ in range(2):
            await stack.dispatcher()
        await stack.worker_process(children, witness, url=proxy.url, limit=4, lease=6)
        before = {worker.id for worker in await stack.client.workers.list()}

        async def shake() -> None:
            while True:
                proxy.delay = max(0.0, random.gauss(0.5, 0.15))
                await anyio.sleep(0.05)

        async with anyio.create_task_group() as group:
            group.start_soon(shake)
            began = time.monotonic()
            runs = [await stack.client.publish("work", {"name": f"r{n}", "seconds": 1}) for n in range(20)]
            await stack.completed(runs, timeout=60)
            figures.note("20 runs of 1 s on 4 slots, 0.5 s away", time.monotonic() - began)
            group.cancel_scope.cancel()
        assert {worker.id for worker in await stack.client.workers.list()} == before
    assert reclaimed(stack.url) == 0
    witness.exactly_once({f"r{n}" for n in range(20)})
    stack.ended_once(runs)
