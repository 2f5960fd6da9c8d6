"""Sluice running in a test: services and workers in its event loop, or in processes of their own."""

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import anyio
import redis
from anyio.abc import TaskGroup, TaskStatus
from redis.backoff import NoBackoff
from redis.retry import Retry

import dispatcher.service
import scheduler.service
from dispatcher import Client
from dispatcher.addresses import read_address
from dispatcher.auditing import audit_pool
from dispatcher.settings import read_settings
from dispatcher.store import Store
from workers import Functions, FunctionWorker, Worker, WorkerOptions, WorkerType
from workers.worker import run_worker

from .processes import Child, Children
from .waiting import wait_until
from .witness import Witness

PROGRAMS = Path(__file__).parent / "programs"
LEASE = 2.0


class Stack:
    """A client and a pool `default` on a server. What it starts in this loop ends with it."""

    def __init__(self, url: str, client: Client, group: TaskGroup) -> None:
        self.url, self.client, self._group = url, client, group
        self.is_sound = True
        """False in a test that leaves things where they should not be: they are not audited when it ends."""

    async def serve(self, service: Callable[..., Awaitable[None]], **settings: Any) -> anyio.CancelScope:
        """Start a service; cancelling the scope that is returned ends it."""
        scope = anyio.CancelScope()
        read = read_settings({"redis_url": self.url, "tick_ms": 50, **settings})

        async def keep(*, task_status: TaskStatus[None]) -> None:
            with scope:
                await service(read, task_status=task_status)

        await self._group.start(keep)
        return scope

    async def dispatcher(self, **settings: Any) -> anyio.CancelScope:
        """Start a dispatcher, ticking every 50 ms."""
        return await self.serve(dispatcher.service.serve, **settings)

    async def scheduler(self, **settings: Any) -> anyio.CancelScope:
        """Start a scheduler."""
        return await self.serve(scheduler.service.serve, **settings)

    async def worker(self, kind: Functions | WorkerType, *, url: str | None = None, **options: Any) -> Worker:
        """Start a worker; returns when it has joined."""
        kind = FunctionWorker(kind) if isinstance(kind, Functions) else kind
        worker = Worker(url or self.url, kind, WorkerOptions(**{"lease": LEASE, **options}))
        self._group.start_soon(self._work, worker)
        await wait_until(lambda: worker.is_live, description="the worker has joined")
        return worker

    async def _work(self, worker: Worker) -> None:
        async with worker:
            await run_worker(worker, anyio.Event())

    async def worker_process(
        self, children: Children, witness: Witness, *, url: str | None = None, **options: Any
    ) -> Child:
        """Start a worker in a process of its own, with the functions of programs/witnessing.py."""
        known = {worker.pid for worker in await self.client.workers.list(pool=options.get("pool"))}
        child = children.python(
            PROGRAMS / "worker.py",
            url or self.url,
            json.dumps({"lease": LEASE, **options}),
            env={**witness.environment, "SLUICE_LOG_FORMAT": "json"},
        )

        async def joined() -> bool:
            assert child.exit_code is None, child.text()
            live = await self.client.workers.list(pool=options.get("pool"))
            return child.pid in {worker.pid for worker in live} - known

        await wait_until(joined, description="the worker process has joined", timeout=30)
        return child

    async def service_process(self, children: Children, name: str) -> Child:
        """Start a dispatcher or scheduler in a process of its own; returns when it serves."""
        child = children.python(PROGRAMS / "service.py", self.url, name)

        def serves() -> bool:
            assert child.exit_code is None, child.text()
            return "serves" in child.text()

        await wait_until(serves, description=f"the {name} serves", timeout=30)
        return child

    async def completed(self, runs: Iterable[Any], *, timeout: float = 20.0) -> None:
        """Wait until these runs have completed; AssertionError names how one of them ended otherwise."""
        wanted = [run.id for run in runs]

        async def over() -> bool:
            states = Counter([run.state.value for run in await self.client._store.runs.get_many("default", wanted)])
            assert set(states) <= {"completed", "queued", "scheduled", "pending", "running"}, states
            return states["completed"] == len(wanted)

        await wait_until(over, description=f"{len(wanted)} runs have completed", timeout=timeout, interval=0.02)

    def ended_once(self, runs: Iterable[Any]) -> None:
        """AssertionError unless the records say that exactly these runs are over, each once, and nothing is held."""
        with redis.Redis.from_url(self.url) as connection:
            lines = connection.xrange("sluice:{default}:finished")
            assert Counter(next(iter(fields.values())).decode() for _, fields in lines) == Counter(
                run.id for run in runs
            )
            left = list(connection.scan_iter("sluice:{default}:slots*", count=1000))
            assert left == []

    async def audit(self) -> None:
        """AssertionError when anything of any pool is not where it should be; nothing where the server is away."""
        if read_address(self.url).kind == "single":
            with redis.Redis.from_url(self.url, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as connection:
                try:
                    connection.ping()
                except redis.RedisError:
                    return
        if not self.is_sound:
            return
        async with Store(self.url) as store:
            reports = [await audit_pool(store.audit, pool) for pool in await store.pools.names()]
        assert [str(one) for report in reports for one in report.violations] == []


@contextlib.asynccontextmanager
async def running(url: str) -> AsyncIterator[Stack]:
    """A stack with an empty pool `default` of functions."""
    async with Client(url) as client:
        await client.pools.create("default", if_missing=True)
        async with anyio.create_task_group() as group:
            stack = Stack(url, client, group)
            yield stack
            group.cancel_scope.cancel()
        await stack.audit()
