"""A worker as a Python object: sessions one after the other until it is told to stop."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, Self

import anyio

from dispatcher.clock import Clock, SystemClock
from dispatcher.errors import InvalidInput, PoolNotFound, ScriptsMissing, ServerError, WorkerGone, WorkerStuck
from dispatcher.ids import random_suffix
from dispatcher.log import get_logger
from dispatcher.metrics import (
    CLOCK_SKEW,
    FENCING_REJECTIONS,
    INFRASTRUCTURE_UP,
    REDIS_RECONNECTS,
    STATE_LOST,
    WORKER_READY,
    WORKER_TURNS,
    begin_at_zero,
    show_build,
)
from dispatcher.names import check_name, lane_name
from dispatcher.store import FAST, Durability, Joining, Store

from .contract import WorkerType
from .heartbeat import HeartbeatThread, HeartMaker
from .losses import tell_lost_pool, tell_lost_runs
from .session import Manner, Session

_log = get_logger("worker")
LEAST_LEASE = 2.0
HAND_BACK_SECONDS = 10.0
LOST_POOL_SECONDS = 1.0
"""How often a worker asks for its pool again that was there."""


def clean_host() -> str:
    """The host's name, as a worker's name may be."""
    host = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in socket.gethostname())
    return (host.lstrip("._-") or "worker")[:40]


@dataclass(frozen=True)
class WorkerOptions:
    """What a worker takes and how. No queues and no match: every queue of the pool.

    In seconds: `lease`, 2 at least; `grace` for its runs when it is to stop; `cancel_grace` for a run that is cancelled
    or timed out; `prefetch`, how long before they are due runs are prepared, as its type says when None.
    `trace_parenting`: whether the trace of a run links to its publisher's, or goes on in it. `durability` is that of
    what its runs publish, where they do not say.
    """

    pool: str = "default"
    queues: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    only_labelled: bool = False
    limit: int = 100
    name: str = field(default_factory=clean_host)
    lease: float = 15.0
    run_once: bool = False
    grace: float = 30.0
    cancel_grace: float = 10.0
    prefetch: float | None = None
    trace_parenting: Literal["link", "child"] = "link"
    durability: Durability = FAST

    def __post_init__(self) -> None:
        check_name("pool", self.pool)
        check_name("worker", self.name)
        if not 1 <= self.limit <= 10_000:
            raise InvalidInput(f"{self.limit!r} is no worker limit: 1 to 10,000 runs at once")
        if not LEAST_LEASE <= self.lease <= 3600:
            raise InvalidInput(f"{self.lease!r} is no lease: {LEAST_LEASE:g} to 3,600 seconds")
        if min(self.grace, self.cancel_grace) < 0:
            raise InvalidInput("a grace is 0 seconds or more")
        if self.prefetch is not None and not 0 <= self.prefetch <= 3600:
            raise InvalidInput(f"{self.prefetch!r} is no time to prepare runs ahead: 0 to 3,600 seconds")


def package_version() -> str:
    """Sluice's version."""
    try:
        return version("sluice-dispatcher")
    except PackageNotFoundError:
        return "0"


class Worker:
    """Executes runs of one pool. `async with Worker(url, kind, options) as worker: await worker.run()`.

    A worker that lost its lease joins again under a new id; what it held is then another's. When Redis lost its data, a
    worker whose pool is gone waits, not ready, until there is one again.
    """

    def __init__(
        self, url: str | Store, kind: WorkerType, options: WorkerOptions, clock: Clock | None = None, *,
        heart: HeartMaker = HeartbeatThread, suffix: Callable[[int], str] = random_suffix,
    ) -> None:  # fmt: skip
        """`url` of the server, or a store for this worker alone; `suffix` makes each id of it a new one."""
        if options.prefetch and kind.auto_start:
            raise InvalidInput(f"{kind.type} workers have nothing to prepare: leave `prefetch` out")
        self._store = Store(url, options.durability) if isinstance(url, str) else url
        self._heart, self._suffix = heart, suffix
        self._kind, self.options = kind, options
        self._clock = clock or SystemClock()
        self._session: Session | None = None
        self._stopping = False
        self._is_stuck = self._is_over = False
        self.executed = 0

    async def __aenter__(self) -> Self:
        await self._kind.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):  # what it took is released, also when the caller is being cancelled
            await self._kind.close()
            await self._store.link.close()

    async def run(self) -> None:
        """Work until drained or stopped. At the start: PoolNotFound, WorkerTypeMismatch, TooManyLanes, ServerError.

        Raises WorkerStuck at the end when a run went on that cannot be ended: then this process has to end.
        """
        try:
            await self._run_sessions()
        finally:
            self._is_over = True
        if self._is_stuck:
            raise WorkerStuck(self.id)

    async def _run_sessions(self) -> None:
        joined, told, delay = False, False, 0.1
        while not self._stopping:
            self._session = session = Session(
                self._store, self.options.pool, self._joining(), self._kind, clock=self._clock, manner=self._manner(),
                heart=self._heart,
            )  # fmt: skip
            try:
                await session.run()
            except WorkerGone as error:
                _log.warning("worker.gone", worker=error.worker, next="join again under a new id")
                joined, told, delay = True, False, 0.1
                await tell_lost_runs(self._store, self.options.pool, session.name, session.holding.runs)
            except PoolNotFound:
                if not joined:
                    raise
                if not told:
                    tell_lost_pool(self.options.pool, self.options.name)
                told = True
                await self._clock.sleep(LOST_POOL_SECONDS)
            except ServerError as error:
                if not joined and not isinstance(error, ScriptsMissing):
                    raise
                _log.warning("server.away", worker=session.name, error=str(error), retry_in=delay)
                await self._clock.sleep(delay)
                delay = min(1.0, 2 * delay)
            else:
                return
            finally:
                self.executed += session.executed

    def drain(self) -> None:
        """Take no more runs; `run` returns when those in hand are over."""
        self._stopping = True
        if self._session:
            self._session.drain()

    def stop(self) -> None:
        """Hand back what has not begun, and after the grace what still runs, uncharged; then `run` returns."""
        self._stopping = True
        if self._session:
            self._session.stop()

    def hand_back(self) -> None:
        """Hand back what is in hand, uncharged; `run` returns soon."""
        self._stopping = True
        if self._session:
            self._session.hand_back(forced=True)

    def _manner(self) -> Manner:
        options = self.options
        return Manner(
            options.run_once, options.grace, options.cancel_grace, self._found_stuck, lambda: self._is_over,
            is_child=options.trace_parenting == "child",
        )  # fmt: skip

    def _found_stuck(self) -> None:
        self._is_stuck = True
        self.stop()

    @property
    def is_live(self) -> bool:
        """Whether it holds a lease that it trusts."""
        return self._session is not None and self._session.lease.left > 0

    @property
    def is_ready(self) -> bool:
        """Whether it is live and its infrastructure answers."""
        return self.is_live and self._kind.is_well()

    def export(self) -> None:
        """Let this process's metrics tell of it; for a process with one worker."""
        show_build("worker", package_version())
        begin_at_zero((REDIS_RECONNECTS,), component="worker")
        begin_at_zero((WORKER_TURNS, STATE_LOST), pool=self.options.pool)
        begin_at_zero((FENCING_REJECTIONS,), pool=self.options.pool, op="finish")
        WORKER_READY.set_function(lambda: float(self.is_ready))
        INFRASTRUCTURE_UP.labels(type=self._kind.type).set_function(lambda: float(self._kind.is_well()))
        CLOCK_SKEW.set_function(lambda: self._session.clock_skew() if self._session else float("nan"))

    @property
    def id(self) -> str:
        """The id of its present session."""
        return self._session.name if self._session else ""

    def _joining(self) -> Joining:
        options = self.options
        ahead = self._kind.prefetch_seconds if options.prefetch is None else options.prefetch
        return Joining(
            name=f"{options.name}-{self._suffix(4)}",
            lane=lane_name(
                options.queues, options.match, options.labels, only_labelled=options.only_labelled, ahead=ahead > 0
            ),
            ahead_ms=round(1000 * ahead),
            capacity=options.limit,
            lease_ms=round(options.lease * 1000),
            type=self._kind.type,
            auto_start=self._kind.auto_start,
            queues=options.queues,
            site=self._kind.site,
            info={
                "name": options.name, "host": clean_host(), "pid": os.getpid(), "type": self._kind.type,
                "version": package_version(),
            },
        )  # fmt: skip


async def run_worker(worker: Worker, drain: anyio.Event) -> None:
    """Run it until it has left: stopped, with its grace, once `drain` is set; cancelled, it hands back what it holds.

    Handing back needs the server, which may be away: after ten seconds the lease has to end by itself.
    """
    async with anyio.create_task_group() as group:
        own = anyio.CancelScope(shield=True)
        group.start_soon(_drain_at, worker, drain)
        group.start_soon(_hand_back_at_cancel, worker, own)
        with own:
            await worker.run()
        group.cancel_scope.cancel()


async def _drain_at(worker: Worker, drain: anyio.Event) -> None:
    await drain.wait()
    worker.stop()


async def _hand_back_at_cancel(worker: Worker, own: anyio.CancelScope) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        own.deadline = anyio.current_time() + HAND_BACK_SECONDS
        worker.hand_back()
