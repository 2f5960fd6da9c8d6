"""The plain state of one pool, and what may be admitted in it: no parking, no ready sets, no index of any kind."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

DEFAULT_LEASE = 15_000
AHEAD = "~ahead"
HELD = {"pending", "running", "cancelling"}
WAITING = {"scheduled", "queued"}


class Violation(AssertionError):
    """Something that the specification does not allow."""


def must(truth: object, message: str) -> None:
    if not truth:
        raise Violation(message)


@dataclass(frozen=True)
class Bucket:
    """What decides how a run is treated: its queue, the labels it requires, its keys."""

    name: str
    queue: str
    labels: frozenset[str]
    keys: tuple[str, ...]

    @classmethod
    def parse(cls, name: str) -> "Bucket":
        queue, labels, *keys = name.split("|")
        return cls(name, queue, frozenset(filter(None, labels.split(","))), tuple(keys))

    @property
    def is_early(self) -> bool:
        return AHEAD in self.labels

    def early(self, *, early: bool) -> "Bucket":
        """The same for runs that are prepared ahead, or for those that are due."""
        labels = sorted(self.labels - {AHEAD}) + ([AHEAD] if early else [])
        return Bucket.parse("|".join((self.queue, ",".join(labels), *self.keys)))

    @property
    def class_name(self) -> str:
        return "|".join(self.name.split("|")[:2])


@dataclass
class Run:
    id: str
    bucket: Bucket
    spec: str
    order: int = 0  # place in the bucket's FIFO order; kept when it comes back, new when it enters again
    state: str = "queued"
    attempt: int = 0
    crashes: int = 0
    token: int = 0
    worker: str = ""
    number: int = 0
    due: int = 0
    prepare_at: int = 0  # may be prepared from then on
    early_until: int = 0  # waits among those that are prepared ahead, until it is due
    deadline: int = 0
    suspended: bool = False  # waits for others, without slots
    resuming: int = 0  # its place in the line of those that want them back
    verdict: tuple[str, str] | None = None  # outcome and argument once its worker goes
    infrastructure: str = ""  # what was started for its present claim
    site: str = ""  # an orphan: waits for a worker of that site to adopt it, since then and until then
    orphan_since: int = 0
    orphan_until: int = 0


@dataclass
class Queue:
    name: str
    priority: int
    limit: int | None = None
    paused: bool = False
    deleting: bool = False


@dataclass
class Worker:
    name: str
    lane: str
    capacity: int
    lease: int
    auto: bool
    lease_end: int
    ahead: int = 0
    site: str = ""
    state: str = "online"
    listed: bool = False
    number: int = 0
    pushed: int = 0  # the first run that was pushed to it since it was heard of
    confirm_by: int = 0
    missing: set[str] = field(default_factory=set)
    orders: dict[str, int] = field(default_factory=dict)

    def takes(self, bucket: Bucket) -> bool:
        names, labels, only = self.lane.split("|")
        wanted = list(filter(None, names.split(",")))
        named = not wanted or any(
            bucket.queue.startswith(name[:-1]) if name.endswith("*") else bucket.queue == name for name in wanted
        )
        if only and not bucket.labels - {AHEAD}:
            return False
        return named and bucket.labels <= set(labels.split(","))

    @property
    def live(self) -> bool:
        return self.state in {"online", "draining"}


class State:
    """One pool: what people set, the runs, the workers, the watch over them."""

    def __init__(self) -> None:
        self.limit: int | None = None
        self.paused = False
        self.crash_budget = 3
        self.queues: dict[str, Queue] = {"default": Queue("default", 1)}
        self.limits: dict[str, int] = {}
        self.policies: dict[str, str] = {}  # of limits that say `when_full`
        self.present: dict[str, dict[str, int]] = {}  # runs that entered and are not over, of such keys, by rank
        self.caching: dict[str, str] = {}  # runs whose result is to be kept, by cache key
        self.cache: dict[str, str] = {}
        self.runs: dict[str, Run] = {}
        self.workers: dict[str, Worker] = {}
        self.idempotency: dict[str, str] = {}
        self.dead: set[str] = set()
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by queue: what happened, how often
        self.floor = 0
        self.last_tick: int | None = None
        self.longest_lease = DEFAULT_LEASE
        self.longest_seen = 0

    def count(self, run: Run, what: str) -> None:
        self.counts[run.bucket.queue][what] += 1

    def held(self) -> Iterator[Run]:
        return (run for run in self.runs.values() if run.state in HELD)

    def held_by(self, worker: str) -> list[Run]:
        return sorted((run for run in self.held() if run.worker == worker), key=lambda run: run.number)

    def orphans(self) -> list[Run]:
        """Those that wait to be adopted, in the order in which they are."""
        found = [run for run in self.held() if run.site]
        return sorted(found, key=lambda run: (run.orphan_since, run.id))

    def executing(self) -> list[Run]:
        """Those that have slots: a suspended run is in a worker's hands without any."""
        return [run for run in self.held() if not run.suspended]

    def has_capacity(self, worker: Worker) -> bool:
        return sum(not run.suspended for run in self.held_by(worker.name)) < worker.capacity

    def backlog(self) -> dict[Bucket, list[Run]]:
        """Every bucket that has runs, in their order."""
        found: dict[Bucket, list[Run]] = {}
        for run in self.runs.values():
            if run.state == "queued":
                found.setdefault(run.bucket, []).append(run)
        for runs in found.values():
            runs.sort(key=lambda run: run.order)
        return found

    def ahead(self) -> int:
        """How long before they are due runs may be prepared."""
        return max((worker.ahead for worker in self.workers.values()), default=0)

    def rank(self, bucket: Bucket) -> int:
        """By what a bucket is served: the priority of its queue; all that is prepared ahead comes later."""
        return self.queues[bucket.queue].priority + (10_000 if bucket.is_early else 0)

    def key_limit(self, key: str) -> int | None:
        return self.limits.get(key, self.limits.get(key.split(":", maxsplit=1)[0] + ":*"))

    def policy(self, key: str) -> str:
        """What becomes of one more run of a full key: said where its limit is said."""
        return self.policies.get(key if key in self.limits else key.split(":", maxsplit=1)[0] + ":*", "wait")

    def full_scope(self, bucket: Bucket, *, pauses: bool = True) -> str | None:
        """The first scope that has no room for another run of this bucket."""
        queue = self.queues[bucket.queue]
        if pauses and (self.paused or queue.paused):
            return "paused"
        held = self.executing()
        if self.limit is not None and len(held) >= self.limit:
            return "pool"
        if queue.limit is not None and sum(run.bucket.queue == queue.name for run in held) >= queue.limit:
            return f"queue {queue.name}"
        for key in bucket.keys:
            limit = self.key_limit(key)
            if limit is not None and sum(key in run.bucket.keys for run in held) >= limit:
                return f"key {key}"
        return None

    def lease_end(self, worker: Worker) -> int:
        return max(worker.lease_end, self.floor)

    def available(self, now: int, caller: Worker | None) -> list[Worker]:
        """Workers that may be given a run now: the caller, and listed ones that are believed."""
        return [
            worker
            for worker in self.workers.values()
            if (worker is caller or (worker.listed and self.lease_end(worker) > now))
            and worker.state == "online"
            and self.has_capacity(worker)
        ]

    def next_of(self, runs: list[Run], now: int) -> Run | None:
        """The first run of a bucket that is not past its deadline."""
        return next((run for run in runs if not run.deadline or run.deadline > now), None)

    def missed(self, now: int, caller: Worker | None, better_than: float) -> str | None:
        """An admissible run of a queue with a better priority than that, and who could take it (brute force)."""
        available = self.available(now, caller)
        if not available:
            return None
        for bucket, runs in self.backlog().items():
            if self.rank(bucket) >= better_than or self.full_scope(bucket):
                continue
            run = self.next_of(runs, now)
            for worker in available if run else []:
                if worker.takes(bucket):
                    return f"{run} could go to {worker}"
        return None
