"""The processes of the simulation: the product's own services, workers and clients, on simulated ports."""

import asyncio
from random import Random
from typing import Any

import anyio

from dispatcher import Client
from dispatcher.caretaker import Caretaker
from dispatcher.catalogue import Catalogue
from dispatcher.intake import Intake
from dispatcher.models import HandOff
from dispatcher.store import Store
from scheduler.firing import Firing
from scheduler.promotion import Promoter
from workers.contract import Outcome
from workers.function import FunctionWorker
from workers.functions import Functions
from workers.worker import Worker, WorkerOptions

from .ledger import Execution, Ledger
from .link import SimulatedLink, TaskHeart
from .loop import Loop
from .network import Network
from .processes import CURRENT
from .server import POOL, START_MS

TICK_SECONDS = 0.4
LEASE = 3.0
_LIMIT = 64 * 1024


class SimulatedClock:
    """A process's clock. Its wall clock may be wrong by `skew` seconds."""

    def __init__(self, loop: Loop, skew: float) -> None:
        self._loop, self._skew = loop, skew

    def now_ms(self) -> int:
        return START_MS + int(1000 * (self._loop.time() + self._skew))

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))


async def work(seconds: float, how: str) -> str:
    """What the runs do: they end well, fail, or do not want to end when they are asked to."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if how == "stubborn":
            await asyncio.sleep(0.3)
        raise
    if how == "fails":
        raise ValueError("as it was asked to")
    return how


class RecordedWorker(FunctionWorker):
    """A function worker that notes what it executes."""

    def __init__(self, ledger: Ledger, clock: SimulatedClock, random: Random) -> None:
        functions = Functions()
        functions.register(work)
        super().__init__(functions, clock=clock, chance=random.random)
        self._ledger, self._monotonic = ledger, clock.monotonic
        self.worker: Worker | None = None

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        session = self.worker and self.worker._session
        assert session
        now = self._monotonic()
        execution = Execution(run.id, run.token, CURRENT.get(), session.lease, now, session.lease.left > 0)
        self._ledger.executions.append(execution)
        try:
            return await super().watch(run, infrastructure)
        finally:
            execution.close(self._monotonic())


class Fleet:
    """Makes what runs in each process."""

    def __init__(self, loop: Loop, network: Network, ledger: Ledger, random: Random) -> None:
        self._loop, self._network, self._ledger, self._random = loop, network, ledger, random
        self.workers: dict[str, Worker] = {}

    def _store(self, clock: SimulatedClock) -> Store:
        return Store(SimulatedLink(self._network, clock))

    def _clock(self) -> SimulatedClock:
        return SimulatedClock(self._loop, self._random.choice([0.0, 0.0, 0.5, -2.0]))

    def suffix(self, size: int) -> str:
        """What makes a name one of its own."""
        return self._random.randbytes(size).hex()

    async def dispatcher(self) -> None:
        """As dispatcher.service puts it together."""
        clock = self._clock()
        store = self._store(clock)
        caretaker = Caretaker(store, clock, TICK_SECONDS, f"d-{self.suffix(4)}")
        async with anyio.create_task_group() as group:
            group.start_soon(Intake(self._store(clock), clock, _LIMIT).serve)
            await Catalogue(store, clock, "dispatcher", caretaker.look_after).follow()

    async def scheduler(self) -> None:
        """As scheduler.service puts it together."""
        clock = self._clock()
        store = self._store(clock)
        promoter = Promoter(store, clock, Firing(store, clock, _LIMIT))
        async with anyio.create_task_group() as group:
            group.start_soon(promoter.listen)
            await Catalogue(store, clock, "scheduler", promoter.promote).follow()

    async def worker(self, name: str, **options: Any) -> None:
        """A worker until it has left."""
        clock = self._clock()
        kind = RecordedWorker(self._ledger, clock, self._random)
        said = WorkerOptions(pool=POOL, name=name, lease=LEASE, grace=1.0, cancel_grace=1.0, **options)
        worker = Worker(self._store(clock), kind, said, clock, heart=TaskHeart, suffix=self.suffix)
        kind.worker = self.workers[name] = worker
        async with worker:
            await worker.run()

    def client(self) -> Client:
        """A client for the process that asks."""
        clock = self._clock()
        return Client(self._store(clock), pool=POOL, clock=clock, suffix=self.suffix)
