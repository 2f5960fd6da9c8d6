"""The intake of all pools: one blocking read of every publish stream, then one script a batch.

Any number of dispatchers do it at once. Each begins at the head of a stream, and an entry leaves it in the very call
that publishes or rejects it: entries keep their order, none is taken in twice, and one that was read by a dispatcher
that died is read by the next one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from anyio import to_thread

from ..clock import Clock
from ..errors import PoolNotFound, ServerError, ServerUnreachable
from ..log import get_logger
from ..metrics import INTAKE_ACCEPTED, INTAKE_REJECTED, LOOP_ERRORS
from ..store import Store, WireRun
from ..store.intake import Intaken, PublishStream, Unread, Verdict
from .judging import compose, examine

LOOK_SECONDS = 1.0
"""How often pools and publishers are asked for: a new one is heard after this and one blocking read."""
ROUND_SECONDS = 10.0
"""How often every stream is looked at unasked: one whose ids were used up (an id far ahead) wakes nobody."""
REST_SECONDS = 0.5
"""How long a stream that could not be taken in is left alone."""
LONGEST_REST_SECONDS = 5.0
LONGEST_LOOK_SECONDS = 30.0
_SHARE = 10
"""How much longer than it took to look is waited until the next look: one of several servers may be away."""
_LARGE = 64 * 1024
"""Bytes of an entry that is read in a thread: 1 MB of empty maps takes half a second, and the caretaker must tick."""
NOTHING = Intaken(more=False, statuses=[], rejected=[], entries=[])
_log = get_logger("intake")


class Rest(NamedTuple):
    """Until when a stream is left alone, by the monotonic clock, and how long that is."""

    until: float
    seconds: float


class Intake:
    """Takes in the entries of all publish streams of a server. The store's blocking connection is this one's alone."""

    def __init__(self, store: Store, clock: Clock, payload_limit: int) -> None:
        self._store, self._clock, self._limit = store.intake, clock, payload_limit
        self._streams: list[PublishStream] = []
        self._look_at = self._rounded = float("-inf")
        self._resting: dict[PublishStream, Rest] = {}
        self._next: dict[PublishStream, list[Unread]] = {}

    async def serve(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._round()
            except ServerError as error:
                _log.warning("server.away", component="intake", error=str(error))
                await self._clock.sleep(REST_SECONDS)
                self._rounded = float("-inf")  # what one read cannot bring, each stream's own call may
            except Exception:  # noqa: BLE001 - intake goes on whatever happens
                _log.exception("duty.failed", component="intake")
                LOOP_ERRORS.labels(component="intake").inc()
                await self._clock.sleep(REST_SECONDS)

    async def _round(self) -> None:
        now = self._clock.monotonic()
        if now >= self._look_at:
            self._streams = await self._store.streams()
            after = self._clock.monotonic()
            self._look_at = after + min(max(LOOK_SECONDS, _SHARE * (after - now)), LONGEST_LOOK_SECONDS)
            for stream in (self._resting.keys() | self._next.keys()) - set(self._streams):
                self._resting.pop(stream, None)
                self._next.pop(stream, None)
        awake = [stream for stream in self._streams if stream not in self._resting]
        rested = [stream for stream, rest in self._resting.items() if rest.until <= now]
        if now - self._rounded >= ROUND_SECONDS:
            self._rounded = now
        elif awake:
            awake = await self._store.wait(awake)
        else:
            await self._clock.sleep(0.05)
        for stream in (*awake, *rested):
            await self._visit(stream)

    async def _visit(self, stream: PublishStream) -> None:
        """Take in one batch; trouble of one stream is not that of the others."""
        try:
            await self._take_in(stream)
            self._resting.pop(stream, None)
        except ServerUnreachable as error:
            if not self._store.is_spread:
                raise
            _log.warning("intake.waits", pool=stream.pool, source=stream.source, error=str(error))
            self._rest(stream)
        except PoolNotFound:
            self._rest(stream)
        except ServerError as error:  # also: out of memory, the entries stay where they are
            _log.warning("intake.waits", pool=stream.pool, source=stream.source, error=str(error))
            self._rest(stream)

    def _rest(self, stream: PublishStream) -> None:
        """Leave it alone, each time twice as long; then it is visited by itself: one bad key spoils a shared read."""
        last = self._resting.get(stream)
        seconds = min(2 * last.seconds, LONGEST_REST_SECONDS) if last else REST_SECONDS
        self._resting[stream] = Rest(self._clock.monotonic() + seconds, seconds)
        self._next.pop(stream, None)

    async def _take_in(self, stream: PublishStream) -> None:
        found = NOTHING._replace(entries=self._next.pop(stream, []))
        if not found.entries:
            found = await self._store.take_in(stream)
            self._tell(stream, (), found)
        entries = found.entries
        if entries:
            verdicts = await self._judge(stream, entries)
            found = await self._store.take_in(stream, verdicts)
            self._tell(stream, verdicts, found)
            if found.entries:
                self._next[stream] = found.entries
        if found.more:  # a bound stopped the admission: go on at once
            await self._store.settle(stream.pool)

    async def _judge(self, stream: PublishStream, entries: Sequence[Unread]) -> list[Verdict]:
        documents = []
        for entry in entries:
            if sum(map(len, entry.fields)) > _LARGE:
                documents.append(await to_thread.run_sync(examine, stream, entry))
            else:
                documents.append(examine(stream, entry))
        is_timed = any(not isinstance(found, str) and found.counts_from_now for found in documents)
        now_ms = await self._store.now_ms(stream.pool) if is_timed else 0
        return [
            Verdict(entry.id, found if isinstance(found, str) else compose(stream, entry, found, now_ms, self._limit))
            for entry, found in zip(entries, documents, strict=True)
        ]

    def _tell(self, stream: PublishStream, verdicts: Sequence[Verdict], found: Intaken) -> None:
        """Count and log what this dispatcher did; `gone` is what another one did."""
        accepted = 0
        rejected = list(found.rejected)
        for verdict, status in zip(verdicts, found.statuses, strict=True):
            if status == "rejected":
                reason = verdict.run if isinstance(verdict.run, str) else "refused by the pool"
                rejected.append((verdict.entry, reason))
            elif isinstance(verdict.run, WireRun) and status != "gone":
                accepted += status == "accepted"
                INTAKE_ACCEPTED.labels(pool=stream.pool).inc()
        if accepted:
            _log.debug("intake.accepted", pool=stream.pool, source=stream.source, runs=accepted)
        for entry, reason in rejected:
            INTAKE_REJECTED.labels(pool=stream.pool).inc()
            _log.warning("intake.rejected", pool=stream.pool, source=stream.source, entry=entry, reason=reason)
