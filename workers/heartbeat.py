"""Heartbeats, from a thread and over a connection of its own: a blocked event loop does not cost the lease."""

import threading
from collections.abc import Callable
from typing import Any

from dispatcher.errors import ServerError, WorkerGone
from dispatcher.log import get_logger
from dispatcher.store import Beat, Heartbeats

from .holding import Holding
from .lease import Lease

LOOK_SECONDS, LOOP_SECONDS = 0.25, 0.1
"""How often it looks whether a push is unconfirmed, and how long it leaves that to the loop: together less than half of
CONFIRM_MS (admission.lua), after which a push is taken back."""
_log = get_logger("worker")


class HeartbeatThread:
    """Renews the lease every third of it. `heard` and `gone` are called in this thread."""

    def __init__(
        self,
        beats: Heartbeats,
        lease: Lease,
        holding: Holding,
        *,
        show: Callable[[], dict[str, Any]],
        heard: Callable[[Beat], None],
        gone: Callable[[], None],
    ) -> None:
        self._beats, self._lease, self._holding = beats, lease, holding
        self._show, self._heard, self._gone = show, heard, gone
        self._stopped = threading.Event()
        self._pushed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="sluice-heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def pushed(self) -> None:
        """Runs came by a push: unless a turn confirms them soon, a heartbeat has to. From the loop."""
        self._pushed_at = self._lease.asked()

    def confirmed(self) -> None:
        """A turn was answered. From the loop."""
        self._pushed_at = None

    def stop(self) -> None:
        """Stop it; waits for a beat under way, which is bounded by the connection's timeout."""
        self._stopped.set()
        self._thread.join()
        self._beats.close()

    def _run(self) -> None:
        due = now = self._lease.asked()
        while True:
            if now >= due or self._must_confirm(now):
                self._pushed_at = None
                wait = self._lease.seconds / 3 if self._beat() else min(1.0, self._lease.seconds / 10)
                due = self._lease.asked() + wait
            if self._stopped.wait(min(LOOK_SECONDS, max(0, due - self._lease.asked()))):
                return
            now = self._lease.asked()

    def _must_confirm(self, now: float) -> bool:
        pushed_at = self._pushed_at
        return pushed_at is not None and now - pushed_at >= LOOP_SECONDS

    def _beat(self) -> bool:
        asked = self._lease.asked()
        seen, held = self._holding.snapshot()
        try:
            beat = self._beats.beat(seen, held, self._show())
        except WorkerGone:
            self._stopped.set()
            self._gone()
            return False
        except ServerError as error:
            _log.warning("heartbeat.failed", error=str(error))
            return False
        self._lease.renewed(asked)
        self._heard(beat)
        return True
