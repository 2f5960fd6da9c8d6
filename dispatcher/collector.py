"""The families of the snapshot, read from Redis as they are asked for, and the same snapshot for who scales workers.

Read by the thread that answers a scrape, over a connection of its own, at most once a second: a busy event loop is not
asked, and a server that is away makes a scrape short and not wrong. What is not known is not exported.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .clock import Clock, SystemClock
from .log import get_logger
from .metrics import (
    CLOCK_SKEW,
    DURATION_BOUNDS,
    FAMILIES,
    LOOP_ERRORS,
    OTHER_QUEUE,
    REGISTRY,
    SNAPSHOT_SECONDS,
    WAIT_BOUNDS,
    QueueLabels,
)
from .models import TERMINAL, Autoscale
from .snapshots import PoolSnapshot, QueueSnapshot
from .store import MOST_POOLS, ServerSnapshot, ServerSnapshots

FRESH_SECONDS = 1.0
_log = get_logger("metrics")


class Observer:
    """The latest snapshot of a server, never older than a second. Thread-safe."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._snapshots = ServerSnapshots(url, clock)
        self._lock = Lock()
        self._latest: ServerSnapshot | None = None
        self._read_at = 0.0
        self._told: tuple[str, ...] = ()

    def snapshot(self) -> ServerSnapshot:
        """What the server says, or why it says nothing."""
        with self._lock:
            now = self._clock.monotonic()
            if self._latest is None or now - self._read_at >= FRESH_SECONDS:
                self._latest = self._snapshots.read()
                self._read_at = self._clock.monotonic()
                SNAPSHOT_SECONDS.observe(self._read_at - now)
                self._tell(self._latest)
            return self._latest

    def autoscale(self, pool: str) -> Autoscale:
        """How many workers a pool could use. Raises PoolNotFound, ServerError."""
        found = self.snapshot()
        if found.error:
            raise found.error
        for snapshot in found.pools:
            if snapshot.name == pool:
                return snapshot.autoscale
        with self._lock:  # beyond the first pools, or not in the catalogue
            return self._snapshots.read_pool(pool).autoscale

    def close(self) -> None:
        """Close the connection."""
        self._snapshots.close()

    def _tell(self, found: ServerSnapshot) -> None:
        """Say once what is not exported."""
        if not found.error:
            CLOCK_SKEW.set(found.ahead_ms / 1000)
        if found.unread and found.unread != self._told:
            LOOP_ERRORS.labels(component="metrics").inc()
            _log.warning("pools.unread", pools=found.unread[:5], unread=len(found.unread), most=MOST_POOLS)
        self._told = found.unread


class SnapshotCollector(Collector):
    """Families of the snapshot for prometheus_client."""

    def __init__(self, snapshot: Callable[[], ServerSnapshot]) -> None:
        self._snapshot = snapshot
        self._labels = QueueLabels()
        self._lock = Lock()  # two may scrape at once

    def describe(self) -> Iterable[Metric]:
        """All families, without reading anything."""
        return [family.empty() for family in FAMILIES.values()]

    def collect(self) -> Iterator[Metric]:
        """The families that there is something to say of."""
        with self._lock:
            return iter(self._page().families.values())

    def _page(self) -> "_Page":
        found, page = self._snapshot(), _Page()
        page.add("redis_up", found.error is None)
        if found.error is None:
            if found.info:
                _add_server(page, found)
            self._labels.keep({(pool.name, queue.name) for pool in found.pools for queue in pool.queues})
            for pool in found.pools:
                _add_pool(page, pool)
                for name, queue in self._labelled(pool):
                    _add_queue(page, pool, name, queue)
        return page

    def _labelled(self, pool: PoolSnapshot) -> Iterator[tuple[str, QueueSnapshot]]:
        """Queues with their labels; those that have none of their own as one, `other`."""
        others: list[QueueSnapshot] = []
        for queue in pool.queues:
            label = self._labels.label(pool.name, queue.name)
            if label != OTHER_QUEUE:
                yield label, queue
            else:
                others.append(queue)
        if others:
            is_real = len(others) == 1 and others[0].name == OTHER_QUEUE
            yield OTHER_QUEUE, others[0] if is_real else _summed(others)


@contextmanager
def observed(url: str) -> Generator[Observer]:
    """Export the families of a server's snapshot from this process."""
    observer = Observer(url, SystemClock())
    collector = SnapshotCollector(observer.snapshot)
    REGISTRY.register(collector)
    try:
        yield observer
    finally:
        REGISTRY.unregister(collector)
        observer.close()


class _Page:
    """Families that have samples."""

    def __init__(self) -> None:
        self.families: dict[str, Metric] = {}

    def add(self, name: str, value: float | None, *labels: str) -> None:
        """A sample, unless there is no value; labels in the family's order."""
        if value is not None:
            self._sample(name, FAMILIES[name].name, dict(zip(FAMILIES[name].labels, labels, strict=True)), value)

    def add_bars(self, name: str, bars: Mapping[float, int], total: float, *labels: str) -> None:
        """A histogram: counts by upper bound, infinity last."""
        family, sum_of = FAMILIES[name], 0
        known = dict(zip(family.labels, labels, strict=True))
        for bound, count in bars.items():
            sum_of += count
            le = "+Inf" if bound == float("inf") else str(float(bound))
            self._sample(name, f"{family.name}_bucket", {**known, "le": le}, sum_of)
        self._sample(name, f"{family.name}_count", known, sum_of)
        self._sample(name, f"{family.name}_sum", known, total)

    def _sample(self, name: str, sample: str, labels: dict[str, str], value: float) -> None:
        if name not in self.families:
            self.families[name] = FAMILIES[name].empty()
        self.families[name].add_sample(sample, labels, float(value))


def _add_server(page: _Page, found: ServerSnapshot) -> None:
    info = found.info
    page.add("redis_config_ok", info.get("maxmemory_policy", "noeviction") == "noeviction", "eviction")
    page.add("redis_config_ok", bool(info.get("aof_enabled")), "persistence")
    page.add("redis_config_ok", found.unfit is None, "version")
    page.add("redis_memory_bytes", info.get("used_memory"))
    page.add("redis_memory_limit_bytes", info.get("maxmemory"))
    page.add("redis_connected_clients", info.get("connected_clients"))
    page.add("redis_blocked_clients", info.get("blocked_clients"))
    page.add("redis_evicted_keys_total", info.get("evicted_keys"))
    page.add("redis_commands_total", info.get("total_commands_processed"))
    if info.get("aof_enabled"):
        page.add("redis_aof_ok", info.get("aof_last_write_status") == "ok")
    for command in ("evalsha", "evalsha_ro", "eval"):
        stats: dict[str, Any] = info.get(f"cmdstat_{command}", {})
        page.add("redis_script_seconds_total", stats.get("usec", 0) / 1_000_000, command)
        page.add("redis_scripts_total", stats.get("calls", 0), command)


def _add_pool(page: _Page, pool: PoolSnapshot) -> None:
    name, workers = pool.name, pool.workers
    page.add("pool_info", 1, name, pool.type)
    page.add("pool_concurrency_limit", pool.limit, name)
    page.add("pool_slots_used", pool.held, name)
    page.add("pool_paused", pool.paused, name)
    for state in ("scheduled", "queued", "held", "suspended", "orphaned", "dead"):
        page.add("pool_runs", getattr(pool, state), name, state)
    page.add("pool_admissible_runs", pool.admissible, name)
    page.add("pool_desired_workers", pool.desired_workers, name)
    for status in ("online", "draining", "silent"):
        page.add("workers", getattr(workers, status), name, status)
    page.add("worker_slots", workers.slots, name)
    page.add("worker_slots_used", workers.slots_used, name)
    page.add("worker_oldest_heartbeat_age_seconds", workers.unheard_ms / 1000, name)
    page.add("open_sweeps", pool.sweeps, name)


def _add_queue(page: _Page, pool: PoolSnapshot, label: str, queue: QueueSnapshot) -> None:
    at, counts = (pool.name, label), queue.counts
    if queue.name:
        page.add("queue_info", 1, *at, str(queue.priority))
        page.add("queue_concurrency_limit", queue.limit, *at)
        page.add("queue_paused", queue.paused, *at)
        page.add("queue_start_target_seconds", queue.start_within_ms / 1000, *at)
    page.add("queue_queued_runs", queue.queued, *at)
    page.add("queue_slots_used", queue.held, *at)
    age = max(0, pool.now_ms - queue.oldest_ms) / 1000 if queue.oldest_ms else 0
    page.add("queue_oldest_queued_age_seconds", age, *at)
    waits, durations = _bars("w", WAIT_BOUNDS, counts), _bars("d", DURATION_BOUNDS, counts)
    page.add("runs_published_total", counts.get("published", 0), *at)
    page.add("runs_admitted_total", sum(waits.values()), *at)
    for state in sorted(TERMINAL):
        page.add("runs_finished_total", counts.get(state, 0), *at, state.value)
    page.add("runs_retried_total", counts.get("retried", 0), *at)
    page.add("runs_reclaimed_total", counts.get("reclaimed", 0), *at)
    page.add("runs_dead_lettered_total", counts.get("dead", 0), *at)
    page.add("run_starts_total", sum(waits.values()), *at)
    page.add("run_starts_in_time_total", sum(waits.values()) - counts.get("late", 0), *at)
    page.add_bars("run_queue_seconds", waits, counts.get("waited", 0) / 1000, *at)
    page.add_bars("run_duration_seconds", durations, counts.get("ran", 0) / 1000, *at)


def _bars(letter: str, bounds: Iterable[float], counts: Mapping[str, int]) -> dict[float, int]:
    """Counts by upper bound, as the words of histograms.lua have them."""
    bars = {bound: counts.get(f"{letter}{round(1000 * bound)}", 0) for bound in bounds}
    return {**bars, float("inf"): counts.get(letter, 0)}


def _summed(queues: Iterable[QueueSnapshot]) -> QueueSnapshot:
    """Queues without a label of their own, as one."""
    counts: dict[str, int] = {}
    queued = held = suspended = 0
    oldest: list[int] = []
    for queue in queues:
        queued, held, suspended = queued + queue.queued, held + queue.held, suspended + queue.suspended
        oldest += [queue.oldest_ms] if queue.oldest_ms else []
        for word, number in queue.counts.items():
            counts[word] = counts.get(word, 0) + number
    return QueueSnapshot(
        name="", priority=0, limit=None, paused=False, start_within_ms=0, queued=queued, held=held,
        suspended=suspended, oldest_ms=min(oldest, default=0), counts=counts,
    )  # fmt: skip
