"""The client: publish runs, follow them, administer pools, queues and limits."""

import asyncio
import builtins
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack, cast

from .. import tracing
from ..clock import Clock, SystemClock
from ..deployments import Stored, read_deployment
from ..errors import InvalidInput, NotDurable, ResultTimeout
from ..ids import new_run_id, random_suffix
from ..models import LogLine, Published, Run, RunState
from ..names import check_durability, check_durability_timeout, check_name
from ..spans import begin_publish, published
from ..store import Durability, Store, WireRun
from ..store.runs import PUBLISH_AT_ONCE, REMEDY
from .administration import Limits, Pools, Queues, Workers
from .again import DeadLetters, again
from .coalescing import Coalescer
from .deploying import Deployments
from .drafting import Publish, RunOptions, draft
from .following import Follower, Wanted
from .intake import IntakeAdministration
from .previewing import Upcoming, preview
from .waiting import Waiter, result_of

DEFAULT_URL = "redis://127.0.0.1:6379/0"
_BYTES_AT_ONCE = 8 * 1024 * 1024


class Client:
    """An async client of one Redis server. Use as an async context manager, one for a process.

    Publishes that are under way at once travel in one script call; waiting for any number of results costs one
    blocking connection. Every call may be repeated. Methods raise ServerUnreachable when the server is away.
    """

    def __init__(
        self,
        url: str | Store = DEFAULT_URL,
        *,
        pool: str = "default",
        clock: Clock | None = None,
        payload_limit: int = 512 * 1024,
        suffix: Callable[[int], str] = random_suffix,
        durability: str = "fast",
        durability_timeout: float = 5.0,
    ) -> None:
        """`url` of the server, or a store for this client alone; `suffix` makes the name under which it is told.

        `durability` is that of publishes that ask for none; for `durability_timeout` seconds they wait for it.
        """
        self.pool = check_name("pool", pool)
        self._clock = clock or SystemClock()
        self._limit = payload_limit
        self._durability = check_durability(durability)
        default = Durability(durability, check_durability_timeout(durability_timeout))
        self._store = Store(url, default) if isinstance(url, str) else url
        self._publishers: dict[tuple[str, str], Coalescer[WireRun, str]] = {}
        self._waiter = Waiter(self._store, self._clock, suffix)
        self.pools = Pools(self._store)
        self.queues = Queues(self._store, self.pool)
        self.limits = Limits(self._store, self.pool)
        self.workers = Workers(self._store, self.pool)
        self.deployments = Deployments(self._store, self.pool, self._clock, payload_limit)
        self.dead = DeadLetters(self._store, self.pool)
        self.intake = IntakeAdministration(self._store, self.pool)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for publishes under way and close all connections."""
        for publisher in self._publishers.values():
            await publisher.close()
        await self._waiter.close()
        await self._store.link.close()

    async def check(self) -> list[str]:
        """Raise ServerError where the server must not be used; return warnings where it should be set otherwise."""
        return await self._store.link.check()

    async def publish(
        self,
        function: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        /,
        *,
        pool: str | None = None,
        **options: Unpack[RunOptions],
    ) -> Published:
        """Publish one run. Options are RunOptions: queue, labels, keys, at, delay, expires, retries, timeout, ...

        Workers of other types than `function` execute `command=[...]` or `entrypoint="file.py:function"` instead.
        With `durability="fsync"` or `"replicated"` it returns when the run is on disk or in a replica.
        Raises InvalidInput (nothing was published), PoolNotFound, QueueDeleting, ServerError; NotDurable: it was
        published.
        """
        target = pool or self.pool
        if not tracing.is_on():
            return await self._publish(target, function, parameters, options)
        with begin_publish(target, [options]) as span:
            run = await self._publish(target, function, parameters, cast("RunOptions", span.carried(options)))
            span.say(published(run.id))
            return run

    async def publish_many(self, runs: Iterable[Publish | str], *, pool: str | None = None) -> list[Published]:
        """Publish many, in order, 500 a call. All are checked before the first is written.

        After ServerError or PoolNotFound some may be published; publishing again with the same `run_id`s is safe.
        NotDurable names those that are published and not proven; what follows them is not published.
        """
        target = pool or self.pool
        asked = [Publish(run) if isinstance(run, str) else run for run in runs]
        if not tracing.is_on():
            return await self._publish_many(target, asked)
        with begin_publish(target, [run.options or {} for run in asked]) as span:
            traced = [replace(run, options=cast("RunOptions", span.carried(run.options or {}))) for run in asked]
            return await self._publish_many(target, traced)

    async def _publish(
        self, target: str, function: str | None, parameters: Mapping[str, Any] | None, options: RunOptions
    ) -> Published:
        level = options.get("durability") or self._durability
        run = self._draft(function, parameters, options)
        publisher = self._publishers.get((target, level)) or self._publisher(target, level)
        try:
            return _published(target, run, await publisher(run), options)
        except NotDurable as error:  # of all that travelled together
            raise NotDurable(level, [run.id], error.reached) from error

    async def _publish_many(self, target: str, asked: "builtins.list[Publish]") -> "builtins.list[Published]":
        drafts = [self._draft(run.function, run.parameters, run.options or {}) for run in asked]
        levels = [(run.options or {}).get("durability") or self._durability for run in asked]
        statuses: list[str] = []
        for level, part in _parts(drafts, levels):
            statuses += await self._store.runs.publish(target, part, level)
        return [
            _published(target, drafted, status, run.options or {})
            for run, drafted, status in zip(asked, drafts, statuses, strict=True)
        ]

    def _draft(self, function: str | None, parameters: Mapping[str, Any] | None, options: RunOptions) -> WireRun:
        if self._durability != "fast" and not options.get("durability"):
            options = {**options, "durability": self._durability}
        return draft(function, parameters, options, self._clock, self._limit)

    def _publisher(self, pool: str, level: str) -> Coalescer[WireRun, str]:
        check_name("pool", pool)

        async def send(runs: Sequence[WireRun]) -> Sequence[str]:
            return await self._store.runs.publish(pool, runs, level)

        return self._publishers.setdefault((pool, level), Coalescer(send, PUBLISH_AT_ONCE))

    async def get(self, run: Published | str, *, pool: str | None = None) -> Run:
        """The run as it is now. Raises RunNotFound, DecodeError."""
        run_id, target = self._which(run, pool)
        return await self._store.runs.get(target, run_id)

    async def result(self, run: Published | str, timeout: float | None = None, *, pool: str | None = None) -> Any:
        """The result of a run, waiting up to `timeout` seconds for it (for ever when None).

        Raises RunFailed when it ended otherwise, ResultTimeout, RunNotFound.
        """
        run_id, target = self._which(run, pool)
        try:
            async with asyncio.timeout(timeout):
                end = await self._waiter.end(target, run_id)
        except TimeoutError:
            raise ResultTimeout(run_id, timeout or 0) from None
        return result_of(run_id, end)

    async def retry(self, run: Published | str, *, pool: str | None = None) -> Published:
        """Publish a run that is over once more, as it was: a new run that names it. Raises RunNotFound, RunNotOver."""
        run_id, target = self._which(run, pool)
        found = await self._store.runs.get(target, run_id)
        wire = again(found, new_run_id())
        await self._store.runs.publish(target, [wire], str(found.spec.durability))
        return Published(wire.id, target, is_new=True)

    async def cancel(self, *runs: Published | str, children: bool = False, pool: str | None = None) -> list[str]:
        """Cancel runs: 'cancelled', 'cancelling' (its worker is asked), 'already' (over) or 'missing' for each.

        `children` takes along the runs that they published, and theirs, in other pools too.
        """
        targets = [self._which(run, pool) for run in runs]
        statuses: dict[tuple[str, str], str] = {}
        for name in dict.fromkeys(name for _, name in targets):
            ids = list(dict.fromkeys(run_id for run_id, of in targets if of == name))
            for start in range(0, len(ids), 64):
                part = ids[start : start + 64]
                found = await self._store.runs.cancel(name, part, tree=children)
                statuses |= zip(((run_id, name) for run_id in part), found, strict=True)
        return [statuses[target] for target in targets]

    async def list(
        self,
        *,
        states: Iterable[RunState | str] = (),
        queue: str | None = None,
        limit: int = 50,
        pool: str | None = None,
    ) -> list[Run]:
        """Runs in these states (all by default), of one queue or all: held, queued, scheduled, then over.

        Raises PartlyUnreadable when some cannot be read: its `found` has the others, so none is left out unseen.
        """
        try:
            wanted = [RunState(state) for state in states]
        except ValueError as error:
            raise InvalidInput(f"{error}: one of {', '.join(RunState)}") from error
        found = await self._store.lister.find(pool or self.pool, wanted, queue, limit)
        return found.whole("run", REMEDY)

    async def deploy(self, name: str, /, **fields: Any) -> Stored:
        """Create or change a deployment; `fields` are those of its document, `pool` the client's when it is not said.

        The same again changes nothing. Raises InvalidInput with all that is wrong, PoolNotFound, DeploymentExists.
        """
        return await self.deployments.put(read_deployment({"pool": self.pool, **fields, "name": name}))

    async def preview(self, hours: float = 1.0, *, pool: str | None = None) -> "builtins.list[Upcoming]":
        """What is due in a pool for so many hours, soonest first, and what is late.

        Raises PoolNotFound; PartlyUnreadable, as `list` does.
        """
        return await preview(self._store, self.deployments, pool or self.pool, hours)

    def logs(
        self,
        run: Published | str,
        *,
        follow: bool = False,
        level: str = "debug",
        since: datetime | None = None,
        last: int | None = None,
        pool: str | None = None,
    ) -> AsyncGenerator[LogLine]:
        """The lines of a run's log, all attempts; with `follow` also those to come, until the run is over.

        `level` and above, not older than `since`, of those that are there only the `last`. A line of level `cut` says
        how many are missing there. Raises InvalidInput, and as it is read RunNotFound, ServerError.
        """
        run_id, target = self._which(run, pool)
        wanted = Wanted(level, since, last)
        return Follower(self._store, self._clock, target, run_id).lines(wanted, follow=follow)

    def _which(self, run: Published | str, pool: str | None) -> tuple[str, str]:
        if isinstance(run, Published):
            return run.id, run.pool
        return run, pool or self.pool


def _published(pool: str, run: WireRun, status: str, options: RunOptions) -> Published:
    """An id that was made here can only be there already by our own first try, whose reply was lost."""
    if status.startswith("same "):
        return Published(status[5:], pool, is_new=False)
    return Published(run.id, pool, is_new=not status or options.get("run_id") is None)


def _parts(drafts: Sequence[WireRun], levels: Sequence[str]) -> Iterable[tuple[str, Sequence[WireRun]]]:
    """Batches of one durability, of at most 500 runs and about 8 MB."""
    part: list[WireRun] = []
    size, last = 0, ""
    for run, level in zip(drafts, levels, strict=True):
        if part and (level != last or len(part) == PUBLISH_AT_ONCE or size + len(run.spec) > _BYTES_AT_ONCE):
            yield last, part
            part, size = [], 0
        part.append(run)
        size, last = size + len(run.spec), level
    if part:
        yield last, part
