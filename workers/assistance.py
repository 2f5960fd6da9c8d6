"""What a worker does for the code of its runs: their log, their progress, their children, and waiting for others.

A run that waits gives its slots back first and is the first to get them again. If the process dies in between, the run
is in this worker's hands all the while: its lease ends, it is reclaimed.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from dispatcher import codec
from dispatcher.client.drafting import RunOptions, draft
from dispatcher.client.waiting import Waiter
from dispatcher.clock import Clock
from dispatcher.errors import ClaimLost, InvalidInput, ResultTimeout, ServerUnreachable
from dispatcher.log import get_logger
from dispatcher.models import HandOff, RetryPolicy
from dispatcher.store import Claim, End, Store, WireRun, end_result

from .lease import Lease
from .run_logs import LogWriter

T = TypeVar("T")
ASK_AGAIN_SECONDS = 2.0
PROGRESS_SECONDS = 0.5
AWAY_SECONDS = 0.2
PATIENCE_SECONDS = 0.02
CLOSE_SECONDS = 1.0
"""What ends so soon is waited for with the slots kept: giving them back and getting them again costs two calls."""
_log = get_logger("worker")


class Place(NamedTuple):
    """Where claims are held."""

    pool: str
    worker: str


class Assistance:
    """For all runs of one session. `freed` is called when a run gave its slots back: the worker can take another."""

    def __init__(
        self, store: Store, place: Place, clock: Clock, logs: LogWriter, *, lease: Lease, freed: Callable[[], None]
    ) -> None:
        self._store, self._place, self._clock, self._logs, self._freed = store, place, clock, logs, freed
        self._lease = lease
        self.pool = place.pool
        self.loop = asyncio.get_running_loop()
        self._waiter: Waiter | None = None
        self._progress: dict[Claim, str] = {}
        self._progress_told = asyncio.Event()
        self._resumed: dict[Claim, asyncio.Event] = {}
        self._publishing: set[asyncio.Task[list[str]]] = set()

    def of_run(self, run: HandOff) -> "ClaimAssistance":
        """What the code of this claim talks to."""
        return ClaimAssistance(self, run)

    async def run(self) -> None:
        """Hand on progress now and then, until cancelled."""
        while True:
            await self._progress_told.wait()
            self._progress_told.clear()
            said, self._progress = self._progress, {}
            try:
                await self._store.workers.progress(*self._place, said)
            except Exception as error:  # noqa: BLE001 - progress is news; the next one is better
                _log.debug("progress.lost", error=str(error))
            await self._clock.sleep(PROGRESS_SECONDS)

    async def close(self) -> None:
        """Stop waiting for anybody; what is being published has a moment to be done."""
        if self._publishing:
            _, left = await asyncio.wait(self._publishing, timeout=CLOSE_SECONDS)
            for publishing in left:
                publishing.cancel()
        if self._waiter:
            await self._waiter.close()
            await self._waiter_store.link.close()

    def resumed(self, claim: Claim) -> None:
        """A letter says that this claim has its slots again."""
        if waiting := self._resumed.get(claim):
            waiting.set()

    def write(self, run: HandOff, level: str, text: str) -> None:
        """A line of the run's log; from any thread."""
        self._logs.write(run, level, text)

    def progress(self, run: HandOff, share: float | None, text: str) -> None:
        """How far it is; the last word counts. From any thread."""
        words = " ".join(part for part in ("" if share is None else f"{100 * share:.0f}%", text) if part)
        self.loop.call_soon_threadsafe(self._note_progress, (run.id, run.token), words)

    def _note_progress(self, claim: Claim, words: str) -> None:
        self._progress[claim] = words
        self._progress_told.set()

    async def publish(self, run: HandOff, pool: str | None, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """Publish children; [id, is new] of each. Raises ClaimLost, InvalidInput, PoolNotFound, ServerError."""
        target = pool or self._place.pool
        token = run.token if target == self._place.pool else ""
        drafts = [self._draft(run, token, *row) for row in rows]
        level = rows[0][2].get("durability") if rows else None  # of all: they are one publish, or one map
        statuses: list[str] = []
        for start in range(0, len(drafts), 500):
            part = drafts[start : start + 500]
            publish = partial(self._store.runs.publish, target, part, level)
            statuses += await (self._patiently(publish) if token else self._to_the_end(run, target, part, publish))
        if "fenced" in statuses:
            raise ClaimLost(run.id)
        return [
            [status[5:] if status.startswith("same ") else wire.id, not status]
            for wire, status in zip(drafts, statuses, strict=True)
        ]

    async def _to_the_end(self, *words: Any) -> list[str]:
        """A run that is cancelled meanwhile does not cut this short: it is then that its last step matters."""
        publishing = self.loop.create_task(self._abroad(*words))
        self._publishing.add(publishing)
        publishing.add_done_callback(self._published)
        return await asyncio.shield(publishing)

    def _published(self, publishing: "asyncio.Task[list[str]]") -> None:
        self._publishing.discard(publishing)
        if not publishing.cancelled():
            publishing.exception()  # nobody else may look: a run that was cancelled waits for nothing

    async def _abroad(
        self, run: HandOff, target: str, children: Sequence[WireRun], publish: Callable[[], Awaitable[list[str]]]
    ) -> list[str]:
        """Publish children in another pool, which knows no claim of this one: they are noted here before and after."""
        ids = [child.id for child in children]
        note = partial(self._store.runs.note_abroad, self._place.pool, (run.id, run.token), target, ids)
        if not await self._patiently(note):
            raise ClaimLost(run.id)
        statuses = await self._patiently(publish)
        if await self._patiently(note):
            return statuses
        for start in range(0, len(ids), 64):  # who cancelled this run may have come before they were there
            cancel = partial(self._store.runs.cancel, target, ids[start : start + 64], "parent_cancelled", tree=True)
            await self._patiently(cancel)
        raise ClaimLost(run.id)

    def _draft(
        self, run: HandOff, token: str, function: str | None, parameters: Mapping[str, Any], options: dict[str, Any]
    ) -> WireRun:
        if (level := self._store.runs.durability) != "fast":
            options = {"durability": level, **options}
        wire = draft(function, parameters, _options(options, run.id), self._clock, codec.PAYLOAD_LIMIT)
        return wire._replace(extra=codec.amend_extra(wire.extra, parent_token=token)) if token else wire

    async def wait(
        self, run: HandOff, runs: Sequence[Sequence[str]], timeout: float | None, *, keep_slots: bool
    ) -> list[list[Any]]:
        """[state, reason, result or error] of each. Raises ResultTimeout, RunNotFound, ClaimLost, ServerError."""
        waiter = self._opened_waiter()
        ends = [self.loop.create_task(self._end_of(waiter, pool, run_id)) for pool, run_id in runs]
        try:
            _, pending = await asyncio.wait(ends, timeout=min(PATIENCE_SECONDS, timeout or PATIENCE_SECONDS))
            if pending and keep_slots:
                await self._wait_all(ends, timeout)
            elif pending:
                await self._suspended(run, ends, timeout)
            return [list(end_result(run_id, end.result())) for (_, run_id), end in zip(runs, ends, strict=True)]
        except TimeoutError:
            late = next(run_id for (_, run_id), end in zip(runs, ends, strict=True) if not end.done())
            raise ResultTimeout(late, timeout or 0) from None
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _end_of(self, waiter: Waiter, pool: str, run_id: str) -> End:
        return await self._patiently(lambda: waiter.end(pool, run_id))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask again while the server is away: an outage within the lease is nothing that a run's code should meet."""
        while True:
            try:
                return await call()
            except ServerUnreachable:
                if self._lease.left <= 0:
                    raise
            await self._clock.sleep(AWAY_SECONDS)

    def _opened_waiter(self) -> Waiter:
        """Made when the first run waits: it reads its stream over a connection of its own, the inbox has the other."""
        if self._waiter is None:
            self._waiter_store = self._store.another()
            self._waiter = Waiter(self._waiter_store, self._clock, lambda _: f"-{self._place.worker}")
        return self._waiter

    async def _wait_all(self, ends: "Sequence[asyncio.Task[End]]", timeout: float | None) -> None:
        async with asyncio.timeout(timeout):
            await asyncio.wait(ends)

    async def _suspended(self, run: HandOff, ends: "Sequence[asyncio.Task[End]]", timeout: float | None) -> None:
        """Wait without slots. Cancelled, it does not ask for them again: the end of the claim ends the suspension."""
        claim = (run.id, run.token)
        if await self._patiently(lambda: self._store.workers.suspend(*self._place, claim)) != "suspended":
            raise ClaimLost(run.id)
        self._freed()
        try:
            await self._wait_all(ends, timeout)
        except TimeoutError:
            await self._resume(claim)
            raise
        await self._resume(claim)

    async def _resume(self, claim: Claim) -> None:
        resumed = self._resumed[claim] = asyncio.Event()
        ask = partial(self._store.workers.resume, *self._place, claim)
        try:
            while (status := await self._patiently(ask)) == "waiting":
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ASK_AGAIN_SECONDS):
                        await resumed.wait()
                resumed.clear()
            if status != "resumed":
                raise ClaimLost(claim[0])
        finally:
            del self._resumed[claim]


class ClaimAssistance:
    """What the code of one claim may say and ask."""

    def __init__(self, assistance: Assistance, run: HandOff) -> None:
        self._assistance, self._run = assistance, run
        self.pool = assistance.pool

    def tell(self, verb: str, *words: Any) -> None:
        """`log` (level, text) or `progress` (share or None, text); from any thread."""
        if verb == "log":
            self._assistance.write(self._run, *words)
        elif verb == "progress":
            self._assistance.progress(self._run, *words)
        else:
            raise InvalidInput(f"{verb!r} is nothing that a run says")

    async def ask(self, verb: str, *words: Any) -> Any:
        """`publish` or `wait`, see running.Backend; on the worker's loop."""
        if verb == "publish":
            return await self._assistance.publish(self._run, *words)
        if verb == "wait":
            runs, timeout, keep_slots = words
            return await self._assistance.wait(self._run, runs, timeout, keep_slots=keep_slots)
        raise InvalidInput(f"{verb!r} is nothing that a run asks")


def _options(given: Mapping[str, Any], parent: str) -> RunOptions:
    """Options as they come over a socket: instants as ISO text, a retry policy as a mapping."""
    options = dict(given)
    for name in ("at", "expires"):
        if isinstance(options.get(name), str):
            options[name] = datetime.fromisoformat(options[name])
    if isinstance(options.get("retry"), Mapping):
        options["retry"] = RetryPolicy(**options["retry"])
    return RunOptions(**{**options, "parent": parent})  # type: ignore[typeddict-item] # draft checks every name
