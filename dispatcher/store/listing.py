"""Lists of runs, newest first where an order is promised; bounded reads, no script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from .. import keys
from ..models import TERMINAL, Run, RunState
from .found import Found
from .link import Link, root_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from .runs import RunStore

_HELD = (RunState.PENDING, RunState.RUNNING, RunState.CANCELLING)
_PAGE = 200


class RunLister:
    """Finds runs by state and queue."""

    def __init__(self, link: Link, runs: RunStore) -> None:
        self._link, self._runs = link, runs

    async def find(
        self, pool: str, states: Iterable[RunState] = (), queue: str | None = None, limit: int = 50
    ) -> Found[Run]:
        """Up to `limit` runs in these states (all by default): held, queued, scheduled, then finished, newest first.

        Those that cannot be read are told beside them; nobody knows what they are, so whatever is asked for.
        """
        wanted = frozenset(states) or frozenset(RunState)
        found: dict[str, Run] = {}
        unreadable: dict[str, str] = {}
        try:
            async for page in self._pages(root_of(pool), wanted):
                read = await self._runs.read_many(pool, page)
                unreadable |= read.unreadable
                for run in read.rows:
                    if run.state in wanted and queue in (None, run.queue):
                        found.setdefault(run.id, run)
                if len(found) >= limit:
                    break
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return Found(list(found.values())[:limit], unreadable)

    async def _pages(self, root: str, wanted: frozenset[RunState]) -> AsyncIterator[list[str]]:
        if wanted.intersection(_HELD):
            async for page in self._held(root):
                yield page
        if RunState.QUEUED in wanted:
            async for page in self._queued(root):
                yield page
        if RunState.SCHEDULED in wanted:
            async for page in self._ranked(keys.due(root)):
                yield [member[1:] for member in page if member[0] == "r"]
        if wanted & TERMINAL:
            async for page in self._finished(root, wanted):
                yield page

    async def _held(self, root: str) -> AsyncIterator[list[str]]:
        """Runs with slots, then suspended ones."""
        async for page in self._ranked(keys.slots(root)):
            yield page
        for queue in await self._link.client.zrange(keys.queues(root), 0, -1):
            async for page in self._ranked(keys.suspended(root, queue.decode())):
                yield page

    async def _ranked(self, key: str) -> AsyncIterator[list[str]]:
        start = 0
        while page := await self._link.client.zrange(key, start, start + _PAGE - 1):
            yield [member.decode() for member in page]
            start += _PAGE

    async def _buckets(self, root: str) -> AsyncIterator[str]:
        client = self._link.client
        for queue in await client.zrange(keys.queues(root), 0, -1):
            for work_class in await client.zrange(keys.classes(root, queue.decode()), 0, -1):
                async for page in self._ranked(keys.awake(root, work_class.decode())):
                    for bucket in page:
                        yield bucket
        async for page in self._ranked(keys.parked(root)):
            for bucket in page:
                yield bucket

    async def _queued(self, root: str) -> AsyncIterator[list[str]]:
        async for bucket in self._buckets(root):
            async for page in self._ranked(keys.front(root, bucket)):
                yield page
            last = "-"
            while entries := await self._link.client.xrange(keys.backlog(root, bucket), min=last, count=_PAGE):
                yield [fields[b"i"].decode() for _, fields in entries]
                last = "(" + entries[-1][0].decode()

    async def _finished(self, root: str, wanted: frozenset[RunState]) -> AsyncIterator[list[str]]:
        last = "+"
        names = {state.value for state in wanted}
        while entries := await self._link.client.xrevrange(keys.finished(root), max=last, count=_PAGE):
            pairs: list[tuple[Any, Any]] = [next(iter(fields.items())) for _, fields in entries]
            yield [run_id.decode() for state, run_id in pairs if state.decode() in names]
            last = "(" + entries[-1][0].decode()
