"""A real Prometheus scrapes real services that execute runs: panels have data, rules work, what goes wrong is told."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from anyio import to_thread

from dispatcher.deployments import read_deployment
from tests.support.processes import Child, Children
from tests.support.prometheus import Prometheus
from tests.support.publishing import Publisher
from tests.support.queries import Asked, filled_in, of_panels, recorded
from tests.support.servers import Server
from tests.support.stack import PROGRAMS, Stack, running
from tests.support.waiting import wait_until
from tests.support.witness import Witness

pytestmark = [pytest.mark.prometheus, pytest.mark.slow, pytest.mark.timeout(400)]
PATIENCE = 90.0
WORKER = ("worker", "start", "--app", "witnessing:functions", "--limit", "20", "--lease", "2s")
# The server of the test has no limit of memory and no append-only file.
WITHOUT_DATA = {"sluice_redis_memory:ratio"}
# What nothing is told of while all is well: panels have a nought for it.
OF_TROUBLE = (
    "ALERTS{",
    "sluice_fencing_rejections_total{",
    "sluice_infrastructure_up == 0",
    "sluice_intake_rejected_total{",
    "sluice_loop_errors_total[",
    "sluice_redis_aof_ok",
    "sluice_redis_memory_limit_bytes) > 0",
    "sluice_redis_reconnects_total[",
    "sluice_schedules_missed_total{",
    "sluice_worker_ready == 0",
)


class Service(NamedTuple):
    """A service started by the command line; `port` is that of its metrics."""

    child: Child
    port: int


async def start(stack: Stack, children: Children, *words: str) -> Service:
    child = children.python(
        "-c",
        "from dispatcher.cli import main; main()",
        *words,
        "--health",
        "127.0.0.1:0",
        env={"SLUICE_REDIS_URL": stack.url, "SLUICE_POOL": "default"},
        cwd=PROGRAMS,
    )

    def port() -> int:
        assert child.exit_code is None, child.text()
        found = re.search(r"probes on port (\d+)", child.text())
        return int(found[1]) if found else 0

    return Service(child, await wait_until(port, description=f"{words[0]} has probes", timeout=PATIENCE))


class Watched(NamedTuple):
    """Two dispatchers, a scheduler and a worker, and a Prometheus that scrapes them all."""

    dispatchers: list[Service]
    scheduler: Service
    worker: Service
    prometheus: Prometheus


async def watch(stack: Stack, children: Children, folder: Path, *, impatient: bool = False) -> Watched:
    """Start them; returns when all are scraped."""
    dispatchers = [await start(stack, children, "dispatcher", "start") for _ in range(2)]
    scheduler = await start(stack, children, "scheduler", "start")
    worker = await start(stack, children, *WORKER)
    ports = {"dispatcher": [each.port for each in dispatchers], "scheduler": [scheduler.port], "worker": [worker.port]}
    prometheus = Prometheus(children, folder, ports, impatient=impatient)
    await true(lambda: prometheus.healthy_targets() == 4, "all services are scraped")
    return Watched(dispatchers, scheduler, worker, prometheus)


async def true(predicate: Callable[[], bool], description: str) -> None:
    """Ask Prometheus until it is."""
    await wait_until(predicate, description=description, timeout=PATIENCE, interval=0.2)


class Load:
    """Runs of every kind that healthy services see: published, delayed, scheduled, taken in; some queued, some held."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._publisher = stack, Publisher(stack.url)

    async def prepare(self) -> None:
        """Limits, a queue of its own, a deployment that is due every second."""
        client = self._stack.client
        await client.pools.update("default", limit=8)
        await client.queues.create("etl", limit=2)
        fields = {"name": "tick", "function": "work", "parameters": {"name": "tick"}}
        await client.deployments.put(read_deployment({**fields, "schedules": [{"id": "s", "interval": 1}]}))

    async def go_on(self) -> None:
        """Publish until cancelled: a round takes a second, and a little more than what the queue `etl` can do in it."""
        publish = self._stack.client.publish
        while True:
            for _ in range(5):
                await publish("work", {"name": "long", "seconds": 0.5}, queue="etl")
            self._publisher.add({"function": "work", "parameters": {"name": "taken in"}})
            delayed = await publish("work", {"name": "delayed"}, delay=1)
            await self._stack.client.result(delayed, PATIENCE)


@contextlib.asynccontextmanager
async def at_work(stack: Stack) -> AsyncIterator[None]:
    """Work that goes on; it begins when services are there, so that no instant is missed."""
    load = Load(stack)
    await load.prepare()
    async with anyio.create_task_group() as group:
        group.start_soon(load.go_on)
        yield
        group.cancel_scope.cancel()


async def answered(prometheus: Prometheus, asked: list[Asked]) -> None:
    """Return when each query has had data once."""
    left = list(asked)

    async def all_had_data() -> bool:
        for query in list(left):
            if await to_thread.run_sync(prometheus.ask, filled_in(query.expr, interval="15s")):
                left.remove(query)
        return not left

    try:
        await wait_until(all_had_data, description="every query has data", timeout=PATIENCE, interval=0.5)
    except AssertionError:
        raise AssertionError("without data:\n" + "\n".join(f"{place}\n    {expr}" for place, expr in left)) from None


async def fire(prometheus: Prometheus, *names: str) -> None:
    """Return when these alerts fire."""
    await true(lambda: set(names) <= prometheus.firing(), f"{names} fire")


async def test_every_panel_has_data_every_rule_works_and_no_alert_fires(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    prometheus = (await watch(stack, children, tmp_path)).prometheus
    async with at_work(stack):
        await answered(prometheus, list(of_panels()))
        sound = [asked for asked in of_panels() if not any(name in asked.expr for name in OF_TROUBLE)]
        await answered(prometheus, [Asked(place, expr.replace(" or vector(0)", "")) for place, expr in sound])
        await answered(prometheus, [Asked(name, name) for name in sorted(recorded() - WITHOUT_DATA)])
        rules = prometheus.rules()
        assert len(rules) > 40
        assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
        assert prometheus.firing() == set()


async def test_two_dispatchers_count_a_run_once(
    stack: Stack, children: Children, witness: Witness, tmp_path: Path
) -> None:
    watched = await watch(stack, children, tmp_path)
    await stack.completed([await stack.client.publish("work", {"name": str(number)}) for number in range(30)])
    expr = 'sum(max by (pool, queue, outcome) (sluice_runs_finished_total{outcome="completed"}))'
    await true(lambda: watched.prometheus.ask(expr) == [30], "30 runs")
    by_all = "count by (pool, queue) (sluice_runs_published_total > 0)"
    await true(lambda: watched.prometheus.ask(by_all) == [2], "both export it")


async def test_what_goes_wrong_is_told(
    new_server: Callable[..., Server], children: Children, witness: Witness, tmp_path: Path
) -> None:
    server = new_server()
    async with running(server.url) as stack:
        watched = await watch(stack, children, tmp_path, impatient=True)
        prometheus = watched.prometheus
        await stack.client.publish("work", {"name": "long", "seconds": 600})
        await wait_until(lambda: witness.count("start")["long"] == 1, description="it runs", timeout=PATIENCE)
        Publisher(stack.url).add({"no": "run"})
        await fire(prometheus, "SluiceIntakeRejecting")
        watched.worker.child.kill()
        watched.scheduler.child.kill()
        await fire(prometheus, "SluiceNoScheduler", "SluiceBacklogWithoutWorkers")
        server.kill()
        await fire(prometheus, "SluiceRedisDown")
        await true(lambda: prometheus.ask("sluice_pool_info") == [], "no pool is known")
        watched.dispatchers[0].child.kill()
        watched.dispatchers[1].child.kill()
        await fire(prometheus, "SluiceNoDispatcher")
