"""Every metric of Sluice, defined once, in a registry of its own. docs/metrics.md is made from here.

Two kinds: what this process counts itself, and families of the snapshot, which every dispatcher reads from Redis and
exports with the same values (rules take `max by`). Labels are bounded: pools, the first queues a process meets (the
others count as `other`), and words of our own code. No run id and no worker id is ever a label. Hot paths count with a
`Tally` and flush it now and then.
"""

import math
import platform
from collections import Counter as Counts
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import Metric

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each; rules take a reset from the value
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)

MOST_QUEUES = 500
OTHER_QUEUE = "other"
WAIT_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600)
DURATION_BOUNDS = (0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400)
"""Seconds; `lua/include/histograms.lua` has the same bounds in ms."""
INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6")

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SNAPSHOT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)


class Family(NamedTuple):
    """A metric that a collector fills; a counter's name ends in `_total`."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...]

    def empty(self) -> Metric:
        """It, without samples."""
        return Metric(self.name.removesuffix("_total") if self.kind == "counter" else self.name, self.help, self.kind)


def _families(*rows: tuple[str, Literal["gauge", "counter", "histogram"], str, str]) -> dict[str, Family]:
    return {name: Family(f"sluice_{name}", kind, text, tuple(labels.split())) for name, kind, labels, text in rows}


FAMILIES = _families(
    ("pool_info", "gauge", "pool type", "1 for each work pool."),
    ("pool_concurrency_limit", "gauge", "pool", "Most runs at once; absent without a limit."),
    ("pool_slots_used", "gauge", "pool", "Slots of the pool that runs hold."),
    ("pool_paused", "gauge", "pool", "1 while the pool admits nothing."),
    ("pool_runs", "gauge", "pool state",
     "Runs: scheduled, queued, held (pending, running, cancelling), suspended, orphaned (wait to be adopted), dead."),
    ("pool_admissible_runs", "gauge", "pool",
     "Queued runs that pauses and limits would let in now; those of keys as far as 256 buckets a pool, 64 a queue."),
    ("pool_desired_workers", "gauge", "pool", "Workers that held and admissible runs could use; 0 when there is none."),
    ("queue_info", "gauge", "pool queue priority", "1 for each work queue."),
    ("queue_queued_runs", "gauge", "pool queue", "Runs that wait to be admitted."),
    ("queue_slots_used", "gauge", "pool queue", "Slots of the queue that runs hold."),
    ("queue_concurrency_limit", "gauge", "pool queue", "Most runs at once; absent without a limit."),
    ("queue_paused", "gauge", "pool queue", "1 while the queue admits nothing."),
    ("queue_oldest_queued_age_seconds", "gauge", "pool queue",
     "Longest wait of a queued run, 0 for none; exact without labels and keys, else of some buckets."),
    ("queue_start_target_seconds", "gauge", "pool queue", "How soon runs should be admitted, see --start-within."),
    ("workers", "gauge", "pool status", "Workers: online, draining, silent (past their lease, not taken back yet)."),
    ("worker_slots", "gauge", "pool", "Runs that the live workers execute at once."),
    ("worker_slots_used", "gauge", "pool", "Runs that they execute."),
    ("worker_oldest_heartbeat_age_seconds", "gauge", "pool", "Longest time since a live worker was heard."),
    ("open_sweeps", "gauge", "pool", "Bulk changes that are not through yet."),
    ("runs_published_total", "counter", "pool queue", "Runs accepted by publish."),
    ("runs_admitted_total", "counter", "pool queue", "Runs given a slot and a worker."),
    ("runs_finished_total", "counter", "pool queue outcome", "Runs that ended, by terminal state."),
    ("runs_retried_total", "counter", "pool queue", "New attempts of runs that failed."),
    ("runs_reclaimed_total", "counter", "pool queue", "Runs taken back from workers that died."),
    ("runs_dead_lettered_total", "counter", "pool queue", "Runs that were given up."),
    ("run_starts_total", "counter", "pool queue", "Runs admitted: what the target of a queue is about."),
    ("run_starts_in_time_total", "counter", "pool queue", "Runs admitted within the target of their queue."),
    ("run_queue_seconds", "histogram", "pool queue", "From entering the backlog to admission."),
    ("run_duration_seconds", "histogram", "pool queue", "From admission to the end."),
    ("redis_up", "gauge", "", "1 while Redis answers; at 0 there is nothing else of pools and Redis."),
    ("redis_config_ok", "gauge", "check", "1 where a setting is fit: eviction, persistence, version."),
    ("redis_memory_bytes", "gauge", "", "Memory that Redis uses."),
    ("redis_memory_limit_bytes", "gauge", "", "Its maxmemory; 0 is none."),
    ("redis_connected_clients", "gauge", "", "Connections to Redis."),
    ("redis_blocked_clients", "gauge", "", "Connections that wait in a blocking read."),
    ("redis_evicted_keys_total", "counter", "", "Keys that Redis threw away for want of memory: lost runs."),
    ("redis_commands_total", "counter", "", "Commands that Redis has processed."),
    ("redis_aof_ok", "gauge", "", "1 while the append-only file is written; absent where there is none."),
    ("redis_script_seconds_total", "counter", "command", "Server time in scripts."),
    ("redis_scripts_total", "counter", "command", "Scripts that Redis has run."),
)  # fmt: skip


class KnownGauge(Gauge):
    """A gauge that is exported while its value is known, that is no nan: a 0 would be a claim."""

    _type = "gauge"

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(name, documentation, registry=registry)
        self.set(math.nan)

    def collect(self) -> Iterable[Metric]:
        """Its one sample, or none."""
        return [family for family in super().collect() if not any(math.isnan(each.value) for each in family.samples)]


BUILD_INFO = Gauge(
    "sluice_build_info", "1; what runs here.", ("component", "version", "python"), registry=REGISTRY
)  # fmt: skip
CLOCK_SKEW = KnownGauge("sluice_clock_skew_seconds", "Own clock minus the server's.")
SNAPSHOT_SECONDS = Histogram(
    "sluice_snapshot_seconds", "Time to read all pools for a scrape.", buckets=_SNAPSHOT, registry=REGISTRY
)
RUNS_PROMOTED = Counter(
    "sluice_runs_promoted", "Delayed runs that became due and were queued.", ("pool",), registry=REGISTRY
)
SCHEDULE_DELAY = Histogram(
    "sluice_schedule_delay_seconds", "From when a run was due to when it was queued.", ("pool",), buckets=_QUICK,
    registry=REGISTRY,
)  # fmt: skip
SCHEDULES_FIRED = Counter("sluice_schedules_fired", "Runs that schedules published.", ("pool",), registry=REGISTRY)
SCHEDULES_MISSED = Counter(
    "sluice_schedules_missed", "Instants of schedules that have no run, by their misfire policy or for a fault.",
    ("pool",), registry=REGISTRY,
)  # fmt: skip
INVARIANT_VIOLATIONS = Counter(
    "sluice_invariant_violations", "Broken invariants that a dispatcher found.", ("pool", "invariant"),
    registry=REGISTRY,
)  # fmt: skip
AUDIT_REBUILT = Counter(
    "sluice_audit_rebuilt", "Audits that began anew: events were trimmed before they were looked at.", ("pool",),
    registry=REGISTRY,
)  # fmt: skip
INTAKE_ACCEPTED = Counter(
    "sluice_intake_accepted", "Entries of publish streams that became runs.", ("pool",), registry=REGISTRY
)
INTAKE_REJECTED = Counter(
    "sluice_intake_rejected", "Entries of publish streams that were rejected.", ("pool",), registry=REGISTRY
)
LOOP_ERRORS = Counter("sluice_loop_errors", "Rounds of a service loop that failed.", ("component",), registry=REGISTRY)
REDIS_RECONNECTS = Counter(
    "sluice_redis_reconnects",
    "How often Redis was away and then back.",
    ("component",),
    registry=REGISTRY,
)
WORKER_TURNS = Counter("sluice_worker_turns", "Turns taken by workers.", ("pool",), registry=REGISTRY)
FENCING_REJECTIONS = Counter(
    "sluice_fencing_rejections", "Calls refused because the claim was stale.", ("pool", "op"), registry=REGISTRY
)
STATE_LOST = Counter(
    "sluice_state_lost", "Runs and pools that a worker had from Redis and that Redis knows no more.", ("pool",),
    registry=REGISTRY,
)  # fmt: skip
WORKER_READY = KnownGauge(
    "sluice_worker_ready", "1 while the worker holds a lease it trusts and its infrastructure answers."
)
INFRASTRUCTURE_UP = Gauge(
    "sluice_infrastructure_up", "1 while what executes the runs of this type answers.", ("type",), registry=REGISTRY
)


def begin_at_zero(counted: Iterable[Counter | Histogram], **labels: str) -> None:
    """Export these with such labels before there is anything to count: the first one is then a change from 0."""
    for metric in counted:
        metric.labels(**labels)


def show_build(component: str, version: str) -> None:
    """Export what runs in this process."""
    BUILD_INFO.labels(component=component, version=version, python=platform.python_version()).set(1)


class QueueLabels:
    """Which queues have a label of their own in this process: the first MOST_QUEUES of all pools. Not thread-safe."""

    def __init__(self, most: int = MOST_QUEUES) -> None:
        self._most = most
        self._known: set[tuple[str, str]] = set()

    def label(self, pool: str, queue: str) -> str:
        """Its name, or `other` once there are too many."""
        if (pool, queue) not in self._known and queue != OTHER_QUEUE:
            if len(self._known) >= self._most:
                return OTHER_QUEUE
            self._known.add((pool, queue))
        return queue

    def keep(self, queues: Collection[tuple[str, str]]) -> None:
        """Forget all but these, so that what is gone keeps nobody out."""
        self._known.intersection_update(queues)


class Tally:
    """Counts kept as plain integers until `flush`: a hot path pays one dictionary update. Not thread-safe."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counts[tuple[Counter, tuple[str, ...]]] = Counts()

    def add(self, counter: Counter, *labels: str, amount: int = 1) -> None:
        """Count `amount` under these label values, in the order of the metric's labels."""
        self._counts[counter, labels] += amount

    def flush(self) -> None:
        """Move what was counted into the metrics."""
        counts, self._counts = self._counts, Counts()
        for (counter, labels), amount in counts.items():
            counter.labels(*labels).inc(amount)
