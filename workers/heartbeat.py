"""Heartbeats, from a thread and over a connection of its own: a blocked event loop does not cost the lease."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from dispatcher.errors import ServerError, WorkerGone
from dispatcher.log import get_logger
from dispatcher.store import Beat, Heartbeats, Store

from .holding import Holding
from .lease import Lease

LOOK_SECONDS, LOOP_SECONDS = 0.25, 0.1
"""How often it looks whether a push is unconfirmed, and how long it leaves that to the loop: together less than half of
CONFIRM_MS (admission.lua), after which a push is taken back."""
_log = get_logger("worker")


class Pulse:
    """When a worker's heart beats and what comes of it; how a beat is sent is left to a Heart, on its own thread maybe.

    `heard` and `gone` are called where `answered` and `failed` are.
    """

    def __init__(
        self,
        lease: Lease,
        holding: Holding,
        *,
        show: Callable[[], dict[str, Any]],
        heard: Callable[[Beat], None],
        gone: Callable[[], None],
    ) -> None:
        self.lease, self._holding = lease, holding
        self._show, self._heard, self._gone = show, heard, gone
        self._pushed_at: float | None = None
        self._due = self._asked = lease.asked()
        self.is_over = False

    def pushed(self) -> None:
        """Runs came by a push: unless a turn confirms them soon, a heartbeat has to. From the loop."""
        self._pushed_at = self.lease.asked()

    def confirmed(self) -> None:
        """A turn was answered. From the loop."""
        self._pushed_at = None

    @property
    def pause(self) -> float:
        """Seconds until it is to be asked whether a beat is due."""
        return min(LOOK_SECONDS, max(0, self._due - self.lease.asked()))

    def is_due(self) -> bool:
        """Whether to beat now."""
        now, pushed_at = self.lease.asked(), self._pushed_at
        return now >= self._due or (pushed_at is not None and now - pushed_at >= LOOP_SECONDS)

    def begin(self) -> tuple[int, list[str], dict[str, Any]]:
        """What a beat says, which is about to be sent."""
        self._pushed_at = None
        self._asked = self.lease.asked()
        return *self._holding.snapshot(), self._show()

    def answered(self, beat: Beat) -> None:
        """The beat was answered."""
        self.lease.renewed(self._asked)
        self._heard(beat)
        self._due = self.lease.asked() + self.lease.seconds / 3

    def failed(self, error: WorkerGone | ServerError) -> None:
        """It was not: the next one comes sooner, unless this worker is not known any more."""
        if isinstance(error, WorkerGone):
            self.is_over = True
            self._gone()
        else:
            _log.warning("heartbeat.failed", error=str(error))
            self._due = self.lease.asked() + min(1.0, self.lease.seconds / 10)


class Heart(Protocol):
    """Sends a worker's beats."""

    def start(self) -> None:
        """Begin to beat."""
        ...

    async def stop(self) -> None:
        """Stop it; a beat under way is waited for."""
        ...


HeartMaker: TypeAlias = Callable[[Pulse, Store, str, str], Heart]
"""Makes the heart of the worker of that pool and id, from its pulse."""


class HeartbeatThread:
    """A heart with a thread and a connection of its own."""

    def __init__(self, pulse: Pulse, store: Store, pool: str, worker: str) -> None:
        self._pulse = pulse
        self._beats = Heartbeats(store.link.url, pool, worker, pulse.lease.seconds)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sluice-heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Stop it; waits for a beat under way, which is bounded by the connection's timeout."""
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._beats.close()

    def _run(self) -> None:
        while not self._pulse.is_over:
            if self._pulse.is_due():
                self._beat()
            if self._stopped.wait(self._pulse.pause):
                return

    def _beat(self) -> None:
        try:
            beat = self._beats.beat(*self._pulse.begin())
        except (WorkerGone, ServerError) as error:
            self._pulse.failed(error)
        else:
            self._pulse.answered(beat)
