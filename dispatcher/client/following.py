"""Reading the logs of runs: what is there, and with `follow` what comes, until the run is over."""

import os
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import datetime

from ..clock import Clock
from ..errors import InvalidInput, RunNotFound, ServerError
from ..log import get_logger
from ..models import CUT, LEVELS, LogLine
from ..store import Link, Store

_AGAIN_SECONDS = 0.5
_log = get_logger("client")


@dataclass(frozen=True)
class Wanted:
    """Which lines: of this level or a higher one, not older than `since`, of those that are there the last `last`."""

    level: str = LEVELS[0]
    since: datetime | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise InvalidInput(f"{self.level!r} is no level: one of {', '.join(LEVELS)}")
        if self.last is not None and self.last < 0:
            raise InvalidInput(f"{self.last} is no number of lines: 0 or more")
        if self.since is not None and self.since.tzinfo is None:
            raise InvalidInput(f"{self.since.isoformat()} has no time zone")

    def of(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Those of these lines. That lines were cut is told whatever is wanted."""
        levels = {CUT, *LEVELS[LEVELS.index(self.level) :]}
        return [line for line in lines if line.level in levels and (self.since is None or line.at >= self.since)]


class Follower:
    """Follows one run's log to the run's end."""

    def __init__(self, store: Store, clock: Clock, pool: str, run_id: str) -> None:
        self._store, self._clock, self._pool, self._run_id = store, clock, pool, run_id
        self._reader = store.logs.reader(pool, run_id)

    async def lines(self, wanted: Wanted, *, follow: bool) -> AsyncGenerator[LogLine]:
        """Lines in the order they were written. Raises RunNotFound, and ServerError where it cannot begin."""
        if not await self._reader.exists():
            raise RunNotFound(self._run_id)
        if wanted.last is not None:
            for line in await self._last(wanted, wanted.last, with_rest=not follow):
                yield line
        if follow:
            async for line in self._until_over(wanted):
                yield line
        while (page := await self._reader.page()) is not None:
            for line in wanted.of(page):
                yield line
        for line in self._reader.rest():
            yield line

    async def _last(self, wanted: Wanted, count: int, *, with_rest: bool) -> list[LogLine]:
        """The last of those that are there."""
        kept = deque[LogLine](maxlen=count)
        while (page := await self._reader.page()) is not None:
            kept += wanted.of(page)
        return [*kept, *(self._reader.rest() if with_rest else ())]

    async def _until_over(self, wanted: Wanted) -> AsyncGenerator[LogLine]:
        """Lines as they come. Whoever waits for the end is told of it by a reply stream, here by one of its own."""
        listener = f"l{os.urandom(8).hex()}"
        link = Link(self._store.link.url)
        try:
            is_over = await self._is_over(listener)
            while not is_over:
                lines, look = await self._waited(link, listener)
                for line in wanted.of(lines):
                    yield line
                if look:
                    is_over = await self._is_over_by_now(listener)
        finally:
            await link.close()

    async def _waited(self, link: Link, listener: str) -> tuple[list[LogLine], bool]:
        try:
            return await self._reader.wait(link, listener)
        except ServerError as error:
            _log.warning("log.unreadable", run_id=self._run_id, error=str(error))
            await self._clock.sleep(_AGAIN_SECONDS)
            return [], True

    async def _is_over(self, listener: str) -> bool:
        """Whether the run is over or forgotten; if not, `listener` will be told."""
        (end,) = await self._store.runs.wait(self._pool, listener, [self._run_id])
        return end is not None

    async def _is_over_by_now(self, listener: str) -> bool:
        try:
            return await self._is_over(listener)
        except ServerError:
            return False
