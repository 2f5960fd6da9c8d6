"""Every metric of Sluice, defined once, in a registry of its own.

Labels are bounded: pools, the first queues a process meets (the others count as `other`), and words of our own code.
No run id and no worker id is ever a label. Hot paths count with a `Tally` and flush it now and then.
"""

from collections import Counter as Counts

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry(auto_describe=True)

_MOST_QUEUES = 500
OTHER_QUEUE = "other"

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG = (0.001, 0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400)

RUNS_PUBLISHED = Counter("sluice_runs_published", "Runs accepted by publish.", ("pool", "queue"), registry=REGISTRY)
RUNS_ADMITTED = Counter("sluice_runs_admitted", "Runs given a slot and a worker.", ("pool", "queue"), registry=REGISTRY)
RUNS_FINISHED = Counter(
    "sluice_runs_finished", "Runs that ended, by terminal state.", ("pool", "queue", "outcome"), registry=REGISTRY
)
RUNS_RECLAIMED = Counter(
    "sluice_runs_reclaimed", "Runs taken back from workers that died.", ("pool",), registry=REGISTRY
)
RUNS_PROMOTED = Counter(
    "sluice_runs_promoted", "Delayed runs that became due and were queued.", ("pool",), registry=REGISTRY
)
FENCING_REJECTIONS = Counter(
    "sluice_fencing_rejections", "Calls refused because the claim was stale.", ("pool", "op"), registry=REGISTRY
)
WORKER_TURNS = Counter("sluice_worker_turns", "Turns taken by workers.", ("pool",), registry=REGISTRY)
RUN_DURATION = Histogram(
    "sluice_run_duration_seconds", "Time from start to finish.", ("pool", "queue"), buckets=_LONG, registry=REGISTRY
)
RUN_QUEUE_TIME = Histogram(
    "sluice_run_queue_seconds", "Time from queued to admitted.", ("pool", "queue"), buckets=_LONG, registry=REGISTRY
)
SCHEDULE_DELAY = Histogram(
    "sluice_schedule_delay_seconds",
    "Time from when a run was due to when it was queued.",
    ("pool",),
    buckets=_QUICK,
    registry=REGISTRY,
)
SCHEDULES_FIRED = Counter("sluice_schedules_fired", "Runs that schedules published.", ("pool",), registry=REGISTRY)
SCHEDULES_MISSED = Counter(
    "sluice_schedules_missed", "Instants of schedules that have no run, by their misfire policy or for a fault.",
    ("pool",), registry=REGISTRY,
)  # fmt: skip
INVARIANT_VIOLATIONS = Counter(
    "sluice_invariant_violations", "Broken invariants that the audit found.", ("pool", "invariant"), registry=REGISTRY
)
INTAKE_ACCEPTED = Counter(
    "sluice_intake_accepted", "Entries of publish streams that became runs.", ("pool",), registry=REGISTRY
)
INTAKE_REJECTED = Counter(
    "sluice_intake_rejected", "Entries of publish streams that were rejected.", ("pool",), registry=REGISTRY
)
LOOP_ERRORS = Counter("sluice_loop_errors", "Rounds of a service loop that failed.", ("component",), registry=REGISTRY)
REDIS_RECONNECTS = Counter(
    "sluice_redis_reconnects", "Connections to Redis made anew.", ("component",), registry=REGISTRY
)

_known_queues: set[str] = set()


def queue_label(queue: str) -> str:
    """Return the label of a queue: its name, or `other` once this process has met 500 queues."""
    if queue in _known_queues:
        return queue
    if len(_known_queues) >= _MOST_QUEUES:
        return OTHER_QUEUE
    _known_queues.add(queue)
    return queue


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
