"""Waiting for results: one blocking connection a client process, whatever the number of runs waited for."""

import asyncio
from collections.abc import Callable, Sequence

from ..clock import Clock
from ..errors import RunFailed, RunNotFound, ServerError
from ..ids import random_suffix
from ..log import get_logger
from ..store import End, Store, end_result
from ..store.runs import MISSING
from .coalescing import Coalescer

ASK_AGAIN_SECONDS = 10.0
_ASK_AT_ONCE = 64
_log = get_logger("client")


class Waiter:
    """Follows this client's reply stream and wakes who waits. The record is the truth: a lost line is asked for."""

    def __init__(self, store: Store, clock: Clock, suffix: Callable[[int], str] = random_suffix) -> None:
        self._store, self._clock = store, clock
        self.client = f"c{suffix(8)}"
        self._last: dict[str, str] = {}
        self._ends: dict[tuple[str, str], set[asyncio.Future[End]]] = {}
        self._askers: dict[str, Coalescer[str, End | None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def end(self, pool: str, run_id: str) -> End:
        """How the run ended, once it has. Raises RunNotFound; ServerError while the server is away at the first ask."""
        key = (pool, run_id)
        future: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._ends.setdefault(key, set()).add(future)
        try:
            found = await self._asker(pool)(run_id)
            while found is None:
                done, _ = await asyncio.wait([future], timeout=ASK_AGAIN_SECONDS)
                found = future.result() if done else await self._ask_again(pool, run_id)
                if found and not found.facts and found.state != MISSING:
                    found = await self._asker(pool)(run_id)
        finally:
            self._ends[key].discard(future)
            if not self._ends[key]:
                del self._ends[key]
        if found.state == MISSING:
            raise RunNotFound(run_id)
        return found

    def _asker(self, pool: str) -> Coalescer[str, End | None]:
        """The asker of a pool; its reply stream is read from now on."""
        if pool not in self._askers:

            async def ask(ids: Sequence[str]) -> Sequence[End | None]:
                return await self._store.runs.wait(pool, self.client, ids)

            self._askers[pool] = Coalescer(ask, _ASK_AT_ONCE)
            self._last[pool] = "0-0"
            self._restart()
        return self._askers[pool]

    async def _ask_again(self, pool: str, run_id: str) -> End | None:
        try:
            return await self._asker(pool)(run_id)
        except ServerError:
            return None

    def _restart(self) -> None:
        """Read one more pool's stream too. The reader lives as long as the client, not as a call: close() ends it."""
        if self._reader:
            self._reader.cancel()
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        while True:
            try:
                told = await self._store.runs.read_replies(self.client, self._last)
            except ServerError as error:
                _log.warning("replies.unreadable", error=str(error))
                await self._clock.sleep(0.5)
                continue
            for pool, run_id, end in told:
                for future in self._ends.get((pool, run_id), ()):
                    if not future.done():
                        future.set_result(end)

    async def close(self) -> None:
        """Stop reading; who still waits goes on asking in vain, so close last."""
        if self._reader:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        for asker in self._askers.values():
            await asker.close()


def result_of(run_id: str, end: End) -> object:
    """The result of a completed run. Raises RunFailed for any other end."""
    state, reason, result = end_result(run_id, end)
    if state != "completed":
        raise RunFailed(run_id, state, reason, str(result or ""))
    return result
