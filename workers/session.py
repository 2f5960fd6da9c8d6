"""One incarnation of a worker: joins, converses in turns, executes what it is given, leaves.

The loop is one turn at a time. While a turn is out, the runs of the one before are executed; what ends meanwhile goes
in the next. A worker whose hands are empty waits for its inbox, which a publish or a freed slot writes.

Who is right when this process dies: Redis. What it holds is taken back when the lease ends, under new claim tokens.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio

from dispatcher.clock import Clock
from dispatcher.errors import ServerError, WorkerGone
from dispatcher.log import get_logger
from dispatcher.metrics import FENCING_REJECTIONS, REDIS_RECONNECTS, WORKER_TURNS, Tally
from dispatcher.models import HandOff
from dispatcher.store import Beat, Claim, Joining, Store, Turn

from .assistance import Assistance, Place
from .configuring import Configurations
from .contract import Outcome, WorkerType
from .execution import Execution, Listener
from .hands import Hands
from .heartbeat import Heart, HeartbeatThread, HeartMaker, Pulse
from .holding import END_WIDTH, Ends, Held
from .lease import Lease
from .losses import tell_lost_runs
from .run_logs import LogWriter
from .run_spans import RunSpans
from .standing import Standing

RELIST_SECONDS = 0.001
"""After a push the worker is not listed as idle; a turn soon after lists it, ends of that millisecond travel along."""
GATHER_SECONDS = 0.001
ENDS_AT_ONCE = 64
BEGIN_SECONDS = 0.35
"""A pushed run begins within this time of the push, or after a turn: not confirmed for 0.75 s it is taken back."""
FORCED_GRACE_SECONDS = 0.5
"""For runs that a second signal stops."""
_LEFT_BEHIND_SECONDS = 1.0
_log = get_logger("worker")


@dataclass(frozen=True)
class Manner:
    """How a session ends.

    `run_once` takes what is there and goes; `grace` seconds are for runs when it is to stop, `cancel_grace` for one
    that is cancelled. `stuck` is called when a run goes on that cannot be ended; `is_over` tells whether the worker is
    at its end, so that nobody waits for such a run any more. `is_child`: a run's span goes on in its
    publisher's trace.
    """

    run_once: bool
    grace: float
    cancel_grace: float
    stuck: Callable[[], None]
    is_over: Callable[[], bool]
    is_child: bool = False


def _stale(refusals: list[bytes]) -> list[str]:
    """Runs whose ends were refused; `already` is no refusal: an earlier turn took it, and its reply was lost."""
    pairs = zip(refusals[::2], refusals[1::2], strict=True)
    return [run_id.decode() for run_id, why in pairs if why == b"stale"]


class Session:
    """A worker from join to leave. `run` returns when it was drained, raises WorkerGone when it lost its lease."""

    def __init__(
        self, store: Store, pool: str, joining: Joining, kind: WorkerType, *, clock: Clock, manner: Manner,
        heart: HeartMaker = HeartbeatThread,
    ) -> None:  # fmt: skip
        self._store, self._pool, self._joining, self._manner = store, pool, joining, manner
        self.name = joining.name
        self._clock, self._heart = clock, heart
        self.lease = Lease(joining.lease_ms / 1000, clock)
        self._hands = Hands(self._changed, live_on=bool(joining.site))
        self.holding = self._hands.holding
        place = Place(pool, joining.name)
        self._logs = LogWriter(store, pool, joining.name, clock)
        self._assistance = Assistance(store, place, clock, self._logs, lease=self.lease, freed=self._want_turn)
        kind.attach(self._assistance.of_run, Configurations(store, pool, kind, clock), Standing(store, pool))
        kind.cancel_grace = manner.cancel_grace
        self._spans = RunSpans(place, joining.queues, is_child=manner.is_child)
        self._execution = Execution(
            store, place, kind, clock,
            Listener(self._spans.begin, self._ended, self._stuck, manner.is_over, self._logs.flush),
            grace=manner.cancel_grace,
        )  # fmt: skip
        self._wake = asyncio.Event()
        self._turn_wanted = True
        self._draining = self._once = manner.run_once
        self._stop_asked = False
        self._gone = False
        self._over = False
        self._failure: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._tally = Tally()
        self.executed = 0

    def clock_skew(self) -> float:
        """Seconds by which this machine's clock is ahead of the server's."""
        return self._execution.time.ahead_seconds()

    async def run(self) -> None:
        """Join, work, leave. Raises WorkerGone, and what join raises."""
        asked = self.lease.asked()
        await self._store.workers.join(self._pool, self._joining)
        self.lease.renewed(asked)
        pulse = Pulse(self.lease, self.holding, show=self._show, heard=self._heard, gone=self._lost)
        heart = self._heart(pulse, self._store, self._pool, self.name)
        heart.start()
        _log.info("worker.joined", worker=self.name, pool=self._pool, lane=self._joining.lane)
        duties = (self._read_inbox(pulse), self._watch_lease(), self._logs.run(), self._assistance.run())
        helpers = [self._loop.create_task(duty) for duty in duties]
        for helper in helpers:
            helper.add_done_callback(self._helper_ended)
        try:
            await self._converse(pulse)
        finally:
            self._over = True
            self._hands.put_down()
            with anyio.CancelScope(shield=True):
                await self._wind_up(helpers, heart)
        if not self.holding.is_stuck():
            await self._leave()
        _log.info("worker.left", worker=self.name, pool=self._pool, runs=self.executed)

    async def _wind_up(self, helpers: "list[asyncio.Task[None]]", heart: Heart) -> None:
        """End all that goes on beside the conversation; each of these waits a second or two at most."""
        await self._hands.settle(_LEFT_BEHIND_SECONDS)
        await self._execution.settle(_LEFT_BEHIND_SECONDS)
        await self._logs.close()
        await self._assistance.close()
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await heart.stop()

    async def _leave(self) -> None:
        """Not with a stuck run: its slots are held until this process is gone, so the lease has to end."""
        try:
            await self._store.workers.leave(self._pool, self.name)
        except ServerError as error:
            kept = sorted(self.holding.runs)
            _log.warning("worker.unheard", worker=self.name, run_ids=kept, error=str(error), next="its lease will end")

    def drain(self) -> None:
        """Take no more runs, finish what is in hand, then leave."""
        self._draining = True
        self._want_turn()

    def stop(self) -> None:
        """Hand back what has not begun, take no more, and after the grace hand back what still runs, uncharged."""
        if not self._stop_asked:
            self._stop_asked = True
            self._hands.put_down(begun=False)
            self._loop.call_later(self._manner.grace, self.hand_back)
        self.drain()

    def hand_back(self, *, forced: bool = False) -> None:
        """Stop what is running and hand it back, uncharged; what cannot be stopped is stuck, sooner when `forced`."""
        if forced:
            self._execution.grace = FORCED_GRACE_SECONDS
        self._hands.put_down()
        self.drain()

    def _helper_ended(self, helper: "asyncio.Task[None]") -> None:
        """A helper only ends by being cancelled; if it failed, the worker would be deaf: it fails too."""
        if not helper.cancelled() and helper.exception():
            self._failure = helper.exception()
            self._wake.set()

    # The conversation ------------------------------------------------------------------------------------------------

    async def _converse(self, pulse: Pulse) -> None:
        delay = 0.05
        once_offered = False
        while not self._gone:
            await self._until_turn()
            if self._failure:
                raise self._failure
            if self._gone:
                break
            ends = self._hands.take_ends()
            self._turn_wanted = False
            self._wake.clear()
            asked = self.lease.asked()
            offer = (not self._draining or (self._once and not once_offered)) and self.lease.left > 0
            try:
                turn = await self._store.workers.turn(self._pool, self.name, self.holding.seen, offer=offer, ends=ends)
            except ServerError as error:
                self._hands.keep_ends(ends)
                if self._may_leave_unheard(offered=once_offered):
                    return
                delay = await self._wait_for_server(error, delay)
                continue
            delay = 0.05
            once_offered = once_offered or offer
            self.lease.renewed(asked)
            self._execution.time.heard(turn.now_ms, asked)
            pulse.confirmed()
            fenced = self._taken(ends, turn)
            self._receive_turn(turn)
            if fenced:
                await tell_lost_runs(self._store, self._pool, self.name, fenced)
            if self._draining and once_offered >= self._once and self._hands.is_free():
                return
        raise WorkerGone(self.name)

    async def _until_turn(self) -> None:
        """Until there is something to say. Ends of one moment go together; while others run, those of a millisecond."""
        if self._hands.ends_waiting or self._turn_wanted:
            return
        await self._wake.wait()
        await self._clock.sleep(0)
        if 0 < self._hands.ends_waiting < ENDS_AT_ONCE and self.holding.running():
            await self._clock.sleep(GATHER_SECONDS)

    def _may_leave_unheard(self, *, offered: bool) -> bool:
        """While the server is away: with nothing to hand in at once; told to stop, when it could hand in only late."""
        if self._draining and offered >= self._once and self._hands.is_free():
            return True
        return self._stop_asked and self.lease.left <= 0 and not self.holding.goes_on()

    async def _wait_for_server(self, error: ServerError, delay: float) -> float:
        _log.warning("server.away", worker=self.name, error=str(error), retry_in=delay)
        REDIS_RECONNECTS.labels(component="worker").inc()
        await self._clock.sleep(delay)
        self._turn_wanted = True
        return min(1.0, delay * 2)

    def _forget(self, ends: Ends, refused: list[str]) -> None:
        """Where runs live on without a worker, something of them is kept until their end is taken."""
        for run_id in ends[::END_WIDTH] if self._joining.site else ():
            held = self.holding.runs.get(run_id)
            if held and run_id not in refused:
                self._execution.forget(held.run)

    def _taken(self, ends: Ends, turn: Turn) -> list[str]:
        """The turn took these ends: they are not held any more. Those that were not ours to end."""
        fenced = _stale(turn.refusals)
        self._forget(ends, fenced)
        self.executed += self._hands.drop(ends)
        self._tally.add(WORKER_TURNS, self._pool)
        for run_id in fenced:
            _log.warning("run.fenced", worker=self.name, run_id=run_id)
            self._tally.add(FENCING_REJECTIONS, self._pool, "finish")
        self._tally.flush()
        return fenced

    def _receive_turn(self, turn: Turn) -> None:
        for run in turn.runs:
            self._receive(run)
        if len(turn.runs) < 128:
            self.holding.saw(turn.last)
        if turn.more:
            self._turn_wanted = True
        self._obey(turn.orders, turn.go)

    # What comes in ---------------------------------------------------------------------------------------------------

    async def _read_inbox(self, pulse: Pulse) -> None:
        last = "0-0"
        while not self._over:  # a cancellation that is lost inside a read must not keep the worker from leaving
            try:
                last, letters = await self._store.workers.read_inbox(self._pool, self.name, last)
            except ServerError:
                await self._clock.sleep(0.2)
                continue
            if letters.runs and not self._execution.time.is_within(BEGIN_SECONDS, letters.sent_ms):
                self._want_turn()  # they may be another's by now: what is still ours comes with the turn
            elif letters.runs:
                pulse.pushed()
                for run in letters.runs:
                    self._receive(run)
                self._loop.call_later(RELIST_SECONDS, self._want_turn)
                await self._clock.sleep(0)  # the runs begin before the next read is sent: 0.1 ms sooner
            elif not (letters.orders or letters.go or letters.resumed):
                self._want_turn()  # an empty read: what a lost push or bell left behind comes with this turn
            for claim in letters.resumed:
                self._assistance.resumed(claim)
            self._obey(letters.orders, letters.go)

    def _receive(self, run: HandOff) -> None:
        self._hands.receive(run, self._execution.execute, trusted=self.lease.left > 0)

    def _ended(self, held: Held, outcome: Outcome) -> None:
        self._spans.end(held, outcome)
        self._hands.ended(held, outcome)

    def _stuck(self) -> None:
        """Take no more runs: a run goes on that cannot be ended, so this process has to."""
        self.stop()
        self._manner.stuck()

    def _changed(self) -> None:
        self._wake.set()

    def _want_turn(self) -> None:
        self._turn_wanted = True
        self._wake.set()

    def _obey(self, orders: list[Claim], go: str) -> None:
        if go == "stop" and not self._stop_asked:
            self.stop()
        elif go and not self._draining:
            self.drain()
        self._hands.cancel(orders)

    # The lease -------------------------------------------------------------------------------------------------------

    async def _watch_lease(self) -> None:
        """Stop what runs when the lease can no longer be trusted: it may be somebody else's by now."""
        while True:
            left = self.lease.left
            if left <= 0:
                self._distrust()
                left = self.lease.seconds / 10
            await self._clock.sleep(max(left, 0.01))

    def _distrust(self) -> None:
        if stopped := self._hands.put_down(distrusted=True):
            _log.error("lease.distrusted", worker=self.name, runs=stopped)

    def _heard(self, beat: Beat) -> None:
        """From the heart: of another thread, maybe."""

        def obey() -> None:
            self._obey(beat.orders, beat.go)
            if lost := self._hands.lose(beat.foreign, beat.seen):
                _log.warning("run.fenced", worker=self.name, run_ids=lost)

        self._loop.call_soon_threadsafe(obey)

    def _lost(self) -> None:
        """From the heart: this worker is not known any more."""

        def gone() -> None:
            self._gone = True
            self._wake.set()

        self._loop.call_soon_threadsafe(gone)

    def _show(self) -> dict[str, Any]:
        info = self._joining.info
        return {**info, "held": len(self.holding.runs), "executed": self.executed, "draining": self._draining}
