"""Redis is away, seen by those who use it: work goes on, ends are kept, nobody exits, all come back by themselves."""

import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest
import redis

from dispatcher import Client, RunState
from dispatcher.errors import RunNotFound
from tests.support.figures import Figures
from tests.support.processes import Child, Children
from tests.support.servers import Server, free_port
from tests.support.stack import PROGRAMS, Stack, running
from tests.support.waiting import let_pass, wait_until
from tests.support.witness import Witness

LONG, LEASE = 20.0, 6.0
SLACK = 5.0  # two cores, shared with everything else
KINDS = ["function", "process"]
PROGRAM = "from dispatcher.cli import main; main()"


class Place:
    """A worker as people start it, a dispatcher and a scheduler, all in processes of their own."""

    def __init__(self, stack: Stack, kind: str, witness: Witness, children: Children, lease: float) -> None:
        self.stack, self.kind, self.witness, self._children, self._lease = stack, kind, witness, children, lease
        self.health = f"127.0.0.1:{free_port()}"

    async def start(self) -> "Place":
        await self.stack.client.pools.create("work", type=self.kind)
        for name in ("dispatcher", "scheduler"):
            await self.stack.service_process(self._children, name)
        app = ["--app", "witnessing:functions"] if self.kind == "function" else []
        self.worker = self._children.python(
            "-c", PROGRAM, "worker", "start", "--pool", "work", "--lease", f"{self._lease}s", *app,
            cwd=PROGRAMS,
            env={
                **self.witness.environment, "SLUICE_REDIS_URL": self.stack.url, "SLUICE_HEALTH": self.health,
                "SLUICE_LOG_FORMAT": "json", "PYTHONPATH": "",
            },
        )  # fmt: skip
        await wait_until(self.is_ready, description="the worker is ready", timeout=60)
        return self

    async def publish(self, function: str, name: str, *, delay: float = 0, **more: object) -> str:
        """A run of a function of programs/witnessing.py, whatever the kind of worker."""
        parameters = {"name": name, **{key: str(value) for key, value in more.items()}}
        given = None if self.kind == "process" else function
        code = None if given else f"witnessing.py:{function}"
        options = {"entrypoint": code} if code else {}
        return (await self.stack.client.publish(given, parameters, delay=delay, pool="work", **options)).id

    async def is_ready(self) -> bool:
        assert self.worker.exit_code is None, self.worker.text()
        return await anyio.to_thread.run_sync(ready, self.health)

    async def is_over(self, run: str) -> bool:
        return (await self.stack.client.get(run, pool="work")).state is RunState.COMPLETED

    async def consumed(self, began: float, figures: Figures, what: str) -> None:
        """A new run, one that is published by XADD and one for later are executed, within seconds of the return."""
        await self.publish("work", "later", delay=0.2)
        run = await self.publish("work", "fresh")
        words = {"parameters": {"name": "added"}}
        code = {"function": "work"} if self.kind == "function" else {"entrypoint": "witnessing.py:work"}
        with redis.Redis.from_url(self.stack.url) as connection:
            connection.xadd("sluice:{work}:publish", {"run": json.dumps(code | words)})
        wanted = {"fresh", "added", "later"}
        await wait_until(lambda: wanted <= set(self.witness.count("end")), description=f"{wanted} are over", timeout=30)
        took = time.monotonic() - began
        figures.note(what, took)
        assert took < 5 + SLACK
        await wait_until(lambda: self.is_over(run), description="its end is known")


def listeners(server: Server) -> int:
    """How many runs somebody waits for."""
    return server.call("KEYS", "sluice:{work}:listeners:*").count("listeners:")


def ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=10) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


@contextlib.asynccontextmanager
async def placed(
    server: Server, kind: str, witness: Witness, children: Children, lease: float = LEASE
) -> AsyncIterator[Place]:
    async with running(server.url) as stack:
        yield await Place(stack, kind, witness, children, lease).start()


def is_gone(witness: Witness, name: str) -> bool:
    """It was stopped: a function says so, a process is not there any more."""
    (line,) = [line for line in witness.lines() if (line.kind, line.name) == ("start", name)]
    return bool(witness.count("stop")[name]) or not Path(f"/proc/{line.pid}").exists()


@pytest.mark.fault(12)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_outage_shorter_than_the_lease_shows_nowhere(
    new_server: Callable[..., Server], children: Children, witness: Witness, tmp_path: Path, figures: Figures, kind: str
) -> None:
    """Runs go on, one that ends meanwhile is told afterwards, and who waits for a result gets it."""
    gates = tmp_path / "soon", tmp_path / "late"
    server = new_server("redis", aof=True, settings={"appendfsync": "always"})
    async with placed(server, kind, witness, children, LONG) as place, Client(server.url) as client:
        runs = [await place.publish("wait_for_gate", gate.name, gate=gate) for gate in gates]
        await wait_until(lambda: len(witness.count("start")) == 2, description="both run", timeout=30)
        async with anyio.create_task_group() as group:
            results: list[object] = []

            async def wait(run: str) -> None:
                results.append(await client.result(run, pool="work"))

            for run in runs:
                group.start_soon(wait, run)
            await wait_until(lambda: listeners(server) == 2, description="both are waited for")
            (worker,) = await place.stack.client.workers.list(pool="work")
            server.kill()
            gates[0].touch()
            await wait_until(lambda: witness.count("end")["soon"], description="it ends while Redis is away")
            await let_pass(0.9)
            server.start()
            began = time.monotonic()
            await place.consumed(began, figures, f"Redis back, until a {kind} worker consumed again")
            gates[1].touch()
        assert sorted(map(str, results)) == ["late", "soon"]
        assert [seen.id for seen in await place.stack.client.workers.list(pool="work")] == [worker.id]
        found = [await place.stack.client.get(run, pool="work") for run in runs]
        assert {(run.state, run.crashes) for run in found} == {(RunState.COMPLETED, 0)}
        assert set(witness.count("start").values()) == {1}


@pytest.mark.fault(13)
@pytest.mark.parametrize("kind", KINDS)
async def test_an_outage_longer_than_the_lease_stops_runs_and_loses_none(
    new_server: Callable[..., Server], children: Children, witness: Witness, tmp_path: Path, figures: Figures, kind: str
) -> None:
    """What ended before the lease did is told afterwards; what still ran is stopped in time and begins again."""
    gates = tmp_path / "soon", tmp_path / "late"
    server = new_server("redis", aof=True, settings={"appendfsync": "always"})
    async with placed(server, kind, witness, children) as place:
        runs = [await place.publish("wait_for_gate", gate.name, gate=gate) for gate in gates]
        await wait_until(lambda: len(witness.count("start")) == 2, description="both run", timeout=30)
        (worker,) = await place.stack.client.workers.list(pool="work")
        server.kill()
        killed = time.monotonic()
        gates[0].touch()
        await wait_until(lambda: witness.count("end")["soon"], description="it ends while Redis is away")

        async def is_red() -> bool:
            return not await place.is_ready()

        await wait_until(is_red, description="the worker is red", timeout=LEASE + SLACK)
        red = time.monotonic() - killed
        await wait_until(lambda: is_gone(witness, "late"), description="what ran is stopped", timeout=LEASE + SLACK)
        figures.note(f"Redis away, until a {kind} worker is red and has stopped its runs", time.monotonic() - killed)
        assert red < LEASE + SLACK
        await let_pass(max(0.0, killed + 1.2 * LEASE - time.monotonic()))
        server.start()
        began = time.monotonic()
        await wait_until(place.is_ready, description="the worker is green again", timeout=5 + SLACK)
        figures.note(f"Redis back, until a {kind} worker is green", time.monotonic() - began)
        await place.consumed(began, figures, f"Redis back, until a {kind} worker consumed again")
        await wait_until(lambda: witness.count("start")["late"] == 2, description="what was stopped runs again")
        gates[1].touch()
        for run in runs:
            await wait_until(lambda run=run: place.is_over(run), description="it is over")
        assert [seen.id for seen in await place.stack.client.workers.list(pool="work")] == [worker.id], "the same lease"
        assert {(await place.stack.client.get(run, pool="work")).crashes for run in runs} == {0}
        assert witness.count("start")["soon"] == 1
        assert set(witness.count("end").values()) == {1}


@pytest.mark.fault(20)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_comes_back_empty_is_an_alarm_and_the_end_of_nobody(
    new_server: Callable[..., Server], children: Children, witness: Witness, tmp_path: Path, figures: Figures, kind: str
) -> None:
    """The pool with its limits is gone: its worker says what it held, waits, red, and joins when there is one again."""
    gate = tmp_path / "gate"
    server = new_server("redis")
    async with placed(server, kind, witness, children) as place:
        client = place.stack.client
        run = await place.publish("wait_for_gate", "r", gate=gate)
        await wait_until(lambda: witness.count("start")["r"], description="it runs", timeout=30)
        waiting = Outcome()
        async with anyio.create_task_group() as group:
            group.start_soon(waiting.of, client, run)
            server.restart(kill=True)
            began = time.monotonic()
            lines = await wait_until(lambda: told(place.worker, "state.lost", 2), description="it is said", timeout=30)
            figures.note(f"Redis back and empty, until a {kind} worker says what is lost", time.monotonic() - began)
            assert lines[0]["run_ids"] == [run]
            assert lines[1]["pool"] == "work"
            assert is_gone(witness, "r") or await wait_until(lambda: is_gone(witness, "r"), description="it is stopped")
            assert not await place.is_ready()
        assert isinstance(waiting.error, RunNotFound), "who waits for it is told"
        await client.pools.create("work", type=kind, limit=7)
        began = time.monotonic()
        await wait_until(place.is_ready, description="the worker is green again", timeout=5 + SLACK)
        await place.consumed(began, figures, f"pool made again, until a {kind} worker consumed")
        assert len(told(place.worker, "state.lost", 2) or []) == 2, "said once, not each second"


class Outcome:
    """What became of waiting for a run."""

    error: Exception | None = None

    async def of(self, client: Client, run: str) -> None:
        try:
            await client.result(run, pool="work")
        except RunNotFound as error:
            self.error = error


def told(child: Child, event: str, least: int) -> list[dict[str, object]] | None:
    """The lines of that event in a log, once there are so many."""
    rows = [json.loads(line) for line in child.text().splitlines() if line.startswith("{")]
    found = [row for row in rows if row.get("event") == event]
    return found if len(found) >= least else None


@pytest.mark.fault(12)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_worker_that_is_told_to_stop_waits_no_longer_than_its_lease_for_a_server_that_is_away(
    new_server: Callable[..., Server], children: Children, witness: Witness, tmp_path: Path, kind: str
) -> None:
    """It leaves when its lease is over, and says what it could not hand in: that begins again, elsewhere."""
    gate = tmp_path / "gate"
    server = new_server("redis", aof=True, settings={"appendfsync": "always"})
    async with placed(server, kind, witness, children) as place:
        run = await place.publish("wait_for_gate", "kept", gate=gate)
        await wait_until(lambda: witness.count("start")["kept"], description="it runs", timeout=30)
        server.kill()
        gate.touch()
        await wait_until(lambda: witness.count("end")["kept"], description="it ends while Redis is away")
        place.worker.send(signal.SIGTERM)
        asked = time.monotonic()
        assert await place.worker.ended(timeout=60) == 0
        assert time.monotonic() - asked < LEASE + SLACK
        (line,) = told(place.worker, "worker.unheard", 1) or []
        assert line["run_ids"] == [run]
        server.start()

        async def waits_again() -> bool:
            return (await place.stack.client.get(run, pool="work")).state is RunState.QUEUED

        await wait_until(waits_again, description="it waits for another worker", timeout=3 * LEASE)


@pytest.mark.fault(12)
async def test_an_idle_worker_that_is_told_to_stop_while_the_server_is_away_leaves_at_once(
    new_server: Callable[..., Server], children: Children, witness: Witness
) -> None:
    server = new_server("redis")
    async with placed(server, "function", witness, children, lease=60.0) as place:
        server.kill()
        place.worker.send(signal.SIGTERM)
        assert await place.worker.ended(timeout=30) == 0, "its lease goes on for a minute"
        (line,) = told(place.worker, "worker.unheard", 1) or []
        assert line["run_ids"] == []
        server.start()
