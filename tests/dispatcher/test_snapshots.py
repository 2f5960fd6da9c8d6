"""How many workers a pool could use, from what is there."""

from dataclasses import replace

import pytest

from dispatcher.snapshots import PoolSnapshot, QueueSnapshot, WorkersSnapshot

QUEUE = QueueSnapshot(
    name="q", priority=1, limit=None, paused=False, start_within_ms=60_000, queued=0, held=0, suspended=0, oldest_ms=0,
    counts={},
)  # fmt: skip
POOL = PoolSnapshot(
    name="p", type="function", now_ms=0, limit=None, paused=False, held=0, scheduled=0, queued=0, dead=0, orphaned=0,
    sweeps=0, capacity=4, queues=(), workers=WorkersSnapshot(),
)  # fmt: skip


def pool(*queues: QueueSnapshot, **fields: object) -> PoolSnapshot:
    counts = {"queued": sum(queue.queued for queue in queues), "held": sum(queue.held for queue in queues)}
    return replace(POOL, **{**counts, "queues": queues, **fields})


@pytest.mark.parametrize(
    ("snapshot", "admissible", "desired"),
    [
        (pool(), 0, 0),
        (pool(replace(QUEUE, queued=120)), 120, 30),
        (pool(replace(QUEUE, queued=120, limit=10)), 10, 3),
        (pool(replace(QUEUE, queued=120, held=8, limit=10)), 2, 3),
        (pool(replace(QUEUE, queued=120, held=10, limit=10)), 0, 3),
        (pool(replace(QUEUE, queued=120, held=12, limit=10)), 0, 3),
        (pool(replace(QUEUE, queued=120, paused=True)), 0, 0),
        (pool(replace(QUEUE, queued=120), paused=True), 0, 0),
        (pool(replace(QUEUE, queued=120, held=1), paused=True), 0, 1),
        (pool(replace(QUEUE, queued=120, held=3), limit=8), 5, 2),
        (pool(replace(QUEUE, queued=120, limit=5), replace(QUEUE, queued=120, limit=6), limit=8), 8, 2),
        (pool(replace(QUEUE, queued=5), replace(QUEUE, queued=3, paused=True)), 5, 2),
        (pool(replace(QUEUE, queued=120, held_back=110)), 10, 3),
        (pool(replace(QUEUE, queued=120, held_back=110, limit=4)), 4, 1),
        (pool(replace(QUEUE, queued=120, held_back=120), replace(QUEUE, queued=3, held_back=2)), 1, 1),
        (pool(orphaned=1), 0, 1),
        (pool(replace(QUEUE, suspended=2)), 0, 1),
        (pool(scheduled=9, dead=3), 0, 0),
        (pool(replace(QUEUE, queued=5), queued=45), 45, 12),  # forty wait in queues that were not read
        (pool(replace(QUEUE, queued=50), capacity=0), 50, 1),  # nobody knows how large a worker will be
        (pool(replace(QUEUE, queued=50), workers=WorkersSnapshot(online=2, draining=1, slots=30)), 50, 5),
        (pool(replace(QUEUE, queued=7), workers=WorkersSnapshot(online=2, slots=5)), 7, 3),
    ],
)
def test_workers_are_wanted_for_what_may_run_now(snapshot: PoolSnapshot, admissible: int, desired: int) -> None:
    assert (snapshot.admissible, snapshot.desired_workers) == (admissible, desired)
    found = snapshot.autoscale
    assert (found.admissible, found.desired, found.queued) == (admissible, desired, snapshot.queued)
