"""A pool as it is at one moment, as the snapshot script tells it, and how many workers it could use."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .models import Autoscale

START_WITHIN_MS = 60_000
"""How soon runs should be admitted in a queue that does not say so itself; `include/config.lua` has the same."""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """A work queue. `oldest_ms` is when the run that waits longest entered, 0 for none; `counts` are since it is there.

    It is exact where no run has labels or keys; else the oldest head of some of the queue's buckets. `held_back` queued
    runs wait for a key that is full, in as many buckets as were looked at (256 of a pool, 64 of a queue).
    """

    name: str
    priority: int
    limit: int | None
    paused: bool
    start_within_ms: int
    queued: int
    held: int
    suspended: int
    oldest_ms: int
    counts: Mapping[str, int]
    held_back: int = 0

    @property
    def admissible(self) -> int:
        """How many of its runs its own limit, and those of their keys as far as they were looked at, would let in."""
        return 0 if self.paused else min(max(0, self.queued - self.held_back), _room(self.limit, self.held))


@dataclass(frozen=True, slots=True)
class WorkersSnapshot:
    """The pool's workers. `silent` ones are past their lease; slots are those of live workers.

    `unheard_ms` is how long ago the live worker that was silent longest was heard.
    """

    online: int = 0
    draining: int = 0
    silent: int = 0
    slots: int = 0
    slots_used: int = 0
    unheard_ms: int = 0


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """A work pool. `capacity` is that of the worker that joined last, 0 while there was none.

    `queues` are the first ones by priority; `unread_queued` is how many runs wait in the others.
    """

    name: str
    type: str
    now_ms: int
    limit: int | None
    paused: bool
    held: int
    scheduled: int
    queued: int
    dead: int
    orphaned: int
    sweeps: int
    capacity: int
    queues: tuple[QueueSnapshot, ...]
    workers: WorkersSnapshot

    @property
    def suspended(self) -> int:
        """Runs in workers' hands that wait without slots."""
        return sum(queue.suspended for queue in self.queues)

    @property
    def admissible(self) -> int:
        """How many queued runs could be admitted now if there were workers for them all."""
        if self.paused:
            return 0
        unread = max(0, self.queued - sum(queue.queued for queue in self.queues))
        return min(sum(queue.admissible for queue in self.queues) + unread, _room(self.limit, self.held))

    @property
    def slots_per_worker(self) -> float:
        """On average of the live workers; without any, of the one that came last; 0 when there never was one."""
        live = self.workers.online + self.workers.draining
        return self.workers.slots / live if live else self.capacity

    @property
    def desired_workers(self) -> int:
        """How many workers would do all that may run now; one while anything is in hands, or its size is not known."""
        wanted = self.held + self.admissible
        least = 1 if wanted + self.orphaned + self.suspended else 0
        slots = self.slots_per_worker
        return max(least, math.ceil(wanted / slots) if slots else 0)

    @property
    def autoscale(self) -> Autoscale:
        """The same in a few numbers."""
        slots = self.slots_per_worker
        return Autoscale(
            desired=self.desired_workers, online=self.workers.online, admissible=self.admissible, held=self.held,
            queued=self.queued, slots_per_worker=int(slots) if slots == int(slots) else slots,
        )  # fmt: skip


def _room(limit: int | None, held: int) -> int:
    return 2**53 if limit is None else max(0, limit - held)
