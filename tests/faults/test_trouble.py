"""Redis answers, but not as it should: its disk is full, a script keeps it busy, keys are not what they were."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
import redis

from dispatcher import Client, RunState
from dispatcher.cli.serving import Pulse
from dispatcher.errors import ServerError, ServerUnfit
from tests.support.disks import Disk, small_disk
from tests.support.figures import Figures
from tests.support.servers import Server
from tests.support.stack import PROGRAMS, Stack, running
from tests.support.waiting import let_pass, wait_until
from tests.support.witness import Witness
from workers import Functions
from workers.app import load_functions

LEASE = 4.0
SLACK = 6.0


@pytest.fixture
def functions() -> Functions:
    return load_functions("witnessing:functions", str(PROGRAMS))


@pytest.fixture
def cramped() -> Iterator[tuple[Server, Disk]]:
    """A server on a small disk."""
    server = Server("redis", aof=True)
    with small_disk(server) as disk, server:
        yield server, disk


async def is_refused(stack: Stack) -> bool:
    """Whether publishing is: a disk that is full shows with the next write to the file."""
    try:
        await stack.client.publish("work", {"name": "filler"})
    except ServerUnfit as error:
        assert "MISCONF" in str(error)
        return True
    return False


@pytest.mark.redis
@pytest.mark.fault(23)
async def test_a_full_disk_refuses_publishes_and_loses_no_end(
    cramped: tuple[Server, Disk], witness: Witness, functions: Functions, tmp_path: Path, figures: Figures
) -> None:
    server, disk = cramped
    gate = tmp_path / "gate"
    async with running(server.url) as stack:
        await stack.dispatcher()
        worker = await stack.worker(functions, lease=LEASE)
        runs = [await stack.client.publish("wait_for_gate", {"name": f"r{n}", "gate": str(gate)}) for n in range(4)]
        await wait_until(lambda: len(witness.count("start")) == 4, description="all run")
        disk.fill()
        await wait_until(lambda: is_refused(stack), description="publishing is refused", timeout=20)
        gate.touch()
        await wait_until(lambda: len(witness.count("end")) >= 4, description="all end meanwhile")
        assert (await stack.client.get(runs[0])).state is RunState.RUNNING, "reads are answered"
        await wait_until(lambda: not worker.is_ready, description="the worker is red", timeout=LEASE + SLACK)
        disk.empty()
        began = time.monotonic()
        await stack.completed(runs, timeout=20)
        figures.note("room on the disk again, until ends that waited were told", time.monotonic() - began)
        await wait_until(lambda: worker.is_ready, description="the worker is green again", timeout=5 + SLACK)
        await stack.completed([await stack.client.publish("work", {"name": "more"})], timeout=20)
        assert {(await stack.client.get(run)).crashes for run in runs} == {0}
        assert {witness.count("end")[f"r{n}"] for n in range(4)} == {1}


@pytest.mark.redis
@pytest.mark.fault(23)
async def test_a_service_is_not_well_while_its_server_takes_no_writes(cramped: tuple[Server, Disk]) -> None:
    """Though it answers what is read."""
    server, disk = cramped
    async with running(server.url) as stack, anyio.create_task_group() as group:
        pulse = Pulse(server.url)
        group.start_soon(pulse.beat)
        await wait_until(lambda: pulse._answered > pulse._turned - 1, description="it is well")
        disk.fill()
        await wait_until(lambda: is_refused(stack), description="publishing is refused", timeout=20)
        with pytest.raises(ServerUnfit, match="disk full"):
            await stack.client._store.link.check_writes()
        assert (await stack.client.pools.get("default")).queued >= 0, "reads are answered"
        last = pulse._answered
        await let_pass(5.0)
        assert pulse._answered - last < 4.0, "it stays as it was"
        disk.empty()
        await wait_until(lambda: pulse._answered > last + 5.0, description="it is well again", timeout=30)
        group.cancel_scope.cancel()


@pytest.mark.redis
@pytest.mark.fault(21)
async def test_a_foreign_script_that_keeps_the_server_busy_costs_nobody_a_run(
    new_server: Callable[..., Server], witness: Witness, functions: Functions, tmp_path: Path, figures: Figures
) -> None:
    server = new_server("redis", settings={"busy-reply-threshold": "100"})
    gate = tmp_path / "gate"
    async with running(server.url) as stack:
        for _ in range(2):
            await stack.dispatcher()
        worker = await stack.worker(functions, lease=LEASE)
        first = worker.id
        run = await stack.client.publish("wait_for_gate", {"name": "r", "gate": str(gate)})
        await wait_until(lambda: witness.count("start"), description="it runs")
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, keep_busy, server)
            await wait_until(lambda: server.call("GET", "x").startswith("-BUSY"), description="the server is busy")
            with pytest.raises(ServerError, match="BUSY"):
                await stack.client._store.link.execute([("GET", "x")])
            await wait_until(lambda: not worker.is_live, description="the lease is over", timeout=LEASE + SLACK)
            await let_pass(LEASE / 2)
            assert server.call("SCRIPT", "KILL") == "+OK\r\n"
        began = time.monotonic()
        gate.touch()
        await stack.completed([run], timeout=20)
        figures.note("busy for longer than a lease, until runs went on", time.monotonic() - began)
        assert worker.id == first
        assert (await stack.client.get(run)).crashes == 0
        stack.ended_once([run])


def keep_busy(server: Server) -> None:
    """Until somebody kills the script."""
    forever = redis.Redis.from_url(server.url, socket_timeout=60, retry=None)
    with forever as connection, pytest.raises(redis.ResponseError, match="killed|aborted|Script"):
        connection.eval("while true do end", 0)


@pytest.mark.fault(18)
async def test_a_worker_that_ends_a_run_which_nobody_knows_goes_on(
    stack: Stack, witness: Witness, functions: Functions, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its record, its facts and its slots are gone, as after a failover to a replica that lacked them."""
    gate = tmp_path / "gate"
    await stack.dispatcher()
    worker = await stack.worker(functions)
    first = worker.id
    run = await stack.client.publish("wait_for_gate", {"name": "r", "gate": str(gate)})
    await wait_until(lambda: witness.count("start"), description="it runs")
    with redis.Redis.from_url(stack.url) as connection:
        for key in (f"r:{run.id}", f"run:{run.id}", "slots", "slots:queue:default", f"slots:worker:{worker.id}"):
            assert connection.delete(f"sluice:{{default}}:{key}")
    gate.touch()
    said = ""

    def is_said() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return "state.lost" in said and run.id in said

    await wait_until(is_said, description="the loss is said")
    more = await stack.client.publish("work", {"name": "more"})
    await stack.completed([more])
    assert worker.id == first
    with redis.Redis.from_url(stack.url) as connection:
        assert not list(connection.scan_iter("sluice:{default}:slots*")), "no slot is left behind"


WRONG = ["slots", "idle:||", "backlog:default|", "r:{run}", "run:{held}", "due", "workers", "queue:default"]


@pytest.mark.fault(47)
@pytest.mark.parametrize("key", WRONG)
async def test_a_key_of_a_wrong_type_is_named_and_troubles_no_other_pool(
    stack: Stack, witness: Witness, functions: Functions, tmp_path: Path, key: str
) -> None:
    """Whoever calls is told, no service ends, and when the key is put right all goes on."""
    client, gate = stack.client, tmp_path / "gate"
    stack.is_sound = False  # what was written meanwhile is not in the key that is put back
    await client.pools.create("other")
    await stack.dispatcher()
    await stack.scheduler()
    worker = await stack.worker(functions, limit=2)
    await stack.worker(functions, pool="other")
    held = await client.publish("wait_for_gate", {"name": "held", "gate": str(gate)})
    await wait_until(lambda: witness.count("start"), description="it runs")
    run = await client.publish("work", {"name": "later"}, delay=3600)
    name = "sluice:{default}:" + key.format(run=run.id, held=held.id)
    with redis.Redis.from_url(stack.url) as connection:
        before = connection.dump(name)
        connection.delete(name)
        connection.rpush(name, "wrong")
        told = await outcome_of_publish(client)
        other = await client.publish("work", {"name": "other"}, pool="other")
        assert await client.result(other, pool="other", timeout=30) == "other"
        connection.delete(name)
        if before is not None:
            connection.restore(name, 0, before)
    gate.touch()
    after = await client.publish("work", {"name": "after"})
    assert await client.result(after, timeout=30) == "after", told
    await wait_until(lambda: witness.count("end")["held"], description="the run in hand is over")
    assert worker.is_live or await wait_until(lambda: worker.is_live, description="the worker is well")


async def outcome_of_publish(client: Client) -> str:
    """What one more publish is told: nothing, or which trouble there is."""
    try:
        await client.publish("work", {"name": "meanwhile"})
    except ServerError as error:
        assert "WRONGTYPE" in str(error)
        return str(error)
    return "published"
