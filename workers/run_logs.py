"""Logs of the runs of one worker: lines come from any thread and are written in batches, one call for many runs."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Sequence

from dispatcher.clock import Clock
from dispatcher.errors import ServerError, ServerUnfit
from dispatcher.log import get_logger
from dispatcher.models import HandOff
from dispatcher.store import Store

from .log_lines import CHUNK_BYTES, CHUNK_LINES, ClaimLog, Line, count_of, level_of, lines_of

GATHER_SECONDS = 0.1
FLUSH_SECONDS = 1.0
MOST_LINES, MOST_BYTES, MOST_LOGS = 50_000, 8 * 1024 * 1024, 10_000
"""What waits here at most, of all runs together; a line costs some 150 bytes beside its text."""
_BATCH_LOGS, _BATCH_BYTES = 64, 256 * 1024
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 1.0
_QUIET, _SOME, _HURRY = 0, 1, 2
_log = get_logger("worker")


class LogWriter:
    """Writes what runs say. `run` is its loop; `write` is for any thread; `flush` comes before a run's end.

    While the server is away lines wait, within bounds; those beyond are counted, and the log says how many are missing.
    """

    def __init__(self, store: Store, pool: str, worker: str, clock: Clock) -> None:
        self._store, self._pool, self._worker, self._clock = store, pool, worker, clock
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._logs: dict[tuple[str, str], ClaimLog] = {}
        self._lines = self._size = self._lost = 0
        self._sequence = 1000 * clock.now_ms()  # beyond that of an earlier worker whose claims are adopted
        self._rung = _QUIET
        self._some, self._hurry = asyncio.Event(), asyncio.Event()
        self._is_refused = False

    def write(self, run: HandOff, level: str, text: str) -> None:
        """Add a text to a run's log, a line for each of its lines. For any thread; never waits for the server."""
        key = run.id, run.token
        known = self._logs.get(key)
        if known is not None and known.is_unwanted:
            found, amount = [], count_of(text)
        else:
            found = list(lines_of(text))
            amount = len(found)
        at, level = self._clock.now_ms(), level_of(level)
        with self._lock:
            log = self._logs.get(key) or self._opened(key)
            if log is None:
                self._lost += amount
                return
            for line, size in found:
                self._add(log, (at, level, line), size)
            if not found:
                log.cut(amount)
            self._ring(_HURRY if log.lines >= CHUNK_LINES or log.size >= CHUNK_BYTES else _SOME)

    async def flush(self, run: HandOff, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until all that the run has said so far is in its log; whether it is. At once where it said nothing.

        Gives up after `seconds`, and at once where the server refuses; what waits is written later all the same. Being
        cancelled ends the wait too and is not raised: the run has ended, and its end must not become another one.
        """
        key = run.id, run.token
        log = self._logs.get(key)
        try:
            return log is None or await self._flush(key, log, seconds)
        except asyncio.CancelledError:
            return False

    async def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait for all that waits, as `flush`. What is left then is lost, and said."""
        waiting = [self._flush(key, log, seconds) for key, log in list(self._logs.items())]
        await asyncio.gather(*waiting)
        with self._lock:
            self._lost += sum(log.taken - log.answered for log in self._logs.values())
        self._tell_lost()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._some.wait()
            await _within(self._hurry.wait(), GATHER_SECONDS)
            with self._lock:
                self._rung = _QUIET
                self._some.clear()
                self._hurry.clear()
            while batch := self._next_batch():
                await self._send(batch)

    # Gathering -------------------------------------------------------------------------------------------------------

    def _opened(self, key: tuple[str, str]) -> ClaimLog | None:
        """A new log, None when too many are not written yet. One that only knows that it is full makes room."""
        if len(self._logs) >= MOST_LOGS:
            idle = next((known for known, log in self._logs.items() if not log.chunks), None)
            if idle is None:
                return None
            del self._logs[idle]
        return self._logs.setdefault(key, ClaimLog(*key))

    def _add(self, log: ClaimLog, line: Line, size: int) -> None:
        if log.has_room(size) and self._lines < MOST_LINES and self._size + size <= MOST_BYTES:
            log.add(line, size)
            self._lines += 1
            self._size += size
        else:
            log.cut(1)

    def _ring(self, how: int) -> None:
        """Wake the loop, once for many lines: a call into it costs more than a line."""
        if how > self._rung:
            self._rung = how
            with contextlib.suppress(RuntimeError):  # the loop has ended before a thread of the run
                self._loop.call_soon_threadsafe(self._wake, how)

    def _wake(self, how: int) -> None:
        self._some.set()
        if how == _HURRY:
            self._hurry.set()

    # Writing ---------------------------------------------------------------------------------------------------------

    def _next_batch(self) -> list[ClaimLog]:
        """Logs whose first chunk is to be written: one of each, so that a loud run does not hold up the others."""
        batch: list[ClaimLog] = []
        size = 0
        with self._lock:
            for log in self._logs.values():
                if log.chunks:
                    batch.append(log)
                    size += log.chunks[0].size
                    if len(batch) == _BATCH_LOGS or size >= _BATCH_BYTES:
                        break
        return batch

    async def _send(self, batch: Sequence[ClaimLog]) -> None:
        """Write these chunks, however long it takes: the same ones again, as they may have been written already."""
        delay = _FIRST_DELAY
        while True:
            with self._lock:
                chunks = [log.as_sent(self._sequence + place) for place, log in enumerate(batch, 1)]
                self._sequence += len(batch)
            try:
                statuses = await self._store.logs.write(self._pool, chunks)
            except ServerError as error:
                if delay == _FIRST_DELAY:
                    _log.warning("logs.unwritten", worker=self._worker, error=str(error), next="it is tried again")
                if isinstance(error, ServerUnfit):
                    self._refused(batch)
                await self._clock.sleep(delay)
                delay = min(_LONGEST_DELAY, delay * 2)
                continue
            self._is_refused = False
            self._answered(batch, statuses)
            self._tell_lost()
            return

    def _answered(self, batch: Sequence[ClaimLog], statuses: Sequence[str]) -> None:
        with self._lock:
            for log, status in zip(batch, statuses, strict=True):
                before = log.lines, log.size
                log.was_answered(status)
                self._lines -= before[0] - log.lines
                self._size -= before[1] - log.size
                key = log.run_id, log.token
                del self._logs[key]
                if log.chunks or log.is_unwanted:
                    self._logs[key] = log  # behind the others

    def _refused(self, batch: Sequence[ClaimLog]) -> None:
        """The server has no room: these lines are counted instead, and nobody waits."""
        self._is_refused = True
        with self._lock:
            for log in batch:
                before = log.lines, log.size
                log.give_up()
                self._lines -= before[0] - log.lines
                self._size -= before[1] - log.size
            for log in self._logs.values():
                log.wake(log.taken)

    async def _flush(self, key: tuple[str, str], log: ClaimLog, seconds: float) -> bool:
        future: asyncio.Future[bool] = self._loop.create_future()
        with self._lock:
            if not log.chunks:
                self._logs.pop(key, None)
                return True
            if self._is_refused:
                return False
            log.waiters.append((log.taken, future))
            self._ring(_HURRY)
        await _within(future, seconds)
        with self._lock:
            if not log.chunks:
                self._logs.pop(key, None)
        return future.done() and not future.cancelled() and future.result()

    def _tell_lost(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost:
            _log.warning("logs.lost", worker=self._worker, lines=lost)


async def _within(awaited: Awaitable[object], seconds: float) -> None:
    """Await it, but no longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await awaited
