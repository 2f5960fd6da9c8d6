"""What Sluice speaks of: runs, pools, queues, workers. Frozen; times are epoch milliseconds on the wire, aware here."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple


class RunState(StrEnum):
    """Where a run is. The last five are terminal: nothing follows them; a retry by hand is a new run."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    PENDING = "pending"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """Whether the run is over."""
        return self in TERMINAL


TERMINAL = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CRASHED, RunState.CANCELLED, RunState.EXPIRED})

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.SCHEDULED: frozenset({RunState.QUEUED, RunState.COMPLETED, RunState.CANCELLED, RunState.EXPIRED}),
    RunState.QUEUED: frozenset({RunState.PENDING, RunState.RUNNING, RunState.CANCELLED, RunState.EXPIRED}),
    RunState.PENDING: frozenset(
        {RunState.RUNNING, RunState.QUEUED, RunState.SCHEDULED, RunState.CANCELLING, *TERMINAL} - {RunState.EXPIRED}
    ),
    RunState.RUNNING: frozenset(
        {RunState.QUEUED, RunState.SCHEDULED, RunState.CANCELLING, *TERMINAL} - {RunState.EXPIRED}
    ),
    RunState.CANCELLING: frozenset({RunState.QUEUED, RunState.SCHEDULED, *TERMINAL} - {RunState.EXPIRED}),
    **{state: frozenset() for state in TERMINAL},
}

REASONS: dict[str, str] = {
    "raised": "the code raised an exception",
    "invalid_parameters": "the parameters do not fit the function's signature",
    "not_registered": "the worker has no function of that name",
    "bad_result": "the result cannot be serialised, or is too large",
    "timed_out": "it ran longer than its timeout",
    "retries_spent": "it failed and had no retries left",
    "worker_lost": "its worker's lease ended, and its crash budget is spent",
    "asked": "somebody cancelled it",
    "queue_deleted": "its work queue was deleted",
    "deadline": "it was not started before its deadline",
    "skipped": "a scope was full and says skip",
    "replaced": "a newer run took its place",
    "out_of_memory": "it was killed for want of memory",
    "handed_back": "its worker gave it back unstarted",
    "infrastructure": "the worker could not start it or lost sight of it",
    "not_found": "its command, entrypoint or working directory is not there",
    "invalid_job_variables": "its job variables do not fit the pool's template",
    "pull_failed": "its pull steps could not be done",
    "image_missing": "its image is not there and could not be pulled",
    "registry_denied": "the registry of its image refused the credentials, or wants some",
    "container_refused": "the container engine refused its container",
    "import_failed": "its code could not be imported",
    "stuck": "it goes on although it was asked to end, and cannot be killed: its worker will end",
    "exit_code": "its process ended with a code that is not 0",
    "signal": "its process was ended by a signal",
    "cached": "a run with the same cache key has completed: this is its result",
    "parent_cancelled": "its parent was cancelled and took it along",
    "schedule_changed": "it was published ahead for an instant that its schedule has no more",
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failed run is tried again, and when: `delay` seconds, times `factor` each time, at most `max_delay`.

    `jitter` is the share of each delay that is drawn at random: runs that failed together do not return together.
    """

    retries: int = 0
    delay: float = 1.0
    factor: float = 2.0
    max_delay: float = 3600.0
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a publisher says of a run; written once, opaque to scripts.

    One of function, command and entrypoint says what it does. A command is a list of arguments; one text is a script
    for `sh -eu -c`.
    """

    function: str | None = None
    command: tuple[str, ...] | str | None = None
    entrypoint: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    tags: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    timeout: float | None = None
    at: int | None = None
    expires_at: int | None = None
    deployment: str | None = None
    deployment_version: str | None = None
    schedule: str | None = None
    parent: str | None = None
    job_variables: dict[str, Any] | None = None
    traceparent: str | None = None
    reply_to: str | None = None
    source: str | None = None
    durability: str | None = None
    retry_of: str | None = None
    deployment_variables: dict[str, Any] | None = None
    pull: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is now. Times are None until they happened."""

    id: str
    pool: str
    queue: str
    state: RunState
    spec: RunSpec
    labels: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    reason: str = ""
    attempt: int = 0
    crashes: int = 0
    claim_token: int = 0
    worker: str = ""
    infrastructure: str = ""
    published_at: datetime | None = None
    scheduled_for: datetime | None = None
    admitted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Any = None
    error: str = ""
    progress: str = ""


class Published(NamedTuple):
    """A run that is there now. `is_new` is False when it was there before: the same id, or the same idempotency key."""

    id: str
    pool: str
    is_new: bool


class HandOff(NamedTuple):
    """A run given to a worker: its number in that worker's sequence, its claim, its spec (b'' is to be fetched).

    With an `infrastructure` it runs already: its worker went, and this one is to adopt it.
    """

    number: int
    token: str
    attempt: int
    crashes: int
    id: str
    spec: bytes
    infrastructure: str = ""


@dataclass(frozen=True, slots=True)
class WorkPool:
    """A work pool: for one type of worker; `running` of `limit` slots are in use."""

    name: str
    type: str
    limit: int | None = None
    paused: bool = False
    description: str = ""
    running: int = 0
    queued: int = 0
    scheduled: int = 0
    workers: int = 0
    retention_ms: int = 86_400_000
    retention_count: int = 100_000
    crash_budget: int = 3


@dataclass(frozen=True, slots=True)
class WorkQueue:
    """A work queue of a pool; priority 1 is the highest, equal ones share round-robin.

    `start_within` is how soon its runs should be admitted, in seconds: what metrics and alerts hold it to.
    """

    name: str
    pool: str
    priority: int
    limit: int | None = None
    paused: bool = False
    description: str = ""
    running: int = 0
    queued: int = 0
    scheduled: int = 0
    start_within: float = 60.0


@dataclass(frozen=True, slots=True)
class Autoscale:
    """How many workers a pool could use now, and what that comes from.

    `admissible` queued runs could be admitted at once if there were workers: not the whole backlog where a limit holds
    it back. Limits of keys count as far as 256 buckets of the pool, 64 of a queue. `slots_per_worker` is 0 until there
    was a worker.
    """

    desired: int
    online: int
    admissible: int
    held: int
    queued: int
    slots_per_worker: float


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """The limit of a concurrency key, by exact name or `kind:*`; `running` is None for a pattern.

    `when_full` says what becomes of one more run than that: names.WHEN_FULL.
    """

    key: str
    limit: int
    running: int | None = None
    when_full: str = "wait"


@dataclass(frozen=True, slots=True)
class Slot:
    """A holder of a slot."""

    run_id: str
    queue: str
    worker: str
    state: str
    since: datetime


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker as others see it."""

    id: str
    pool: str
    state: str
    lane: str
    capacity: int
    held: int
    lease_ends_at: datetime
    type: str = ""
    name: str = ""
    host: str = ""
    pid: int = 0
    version: str = ""
    joined_at: datetime | None = None
    runs: tuple[str, ...] = ()


LEVELS = ("debug", "info", "warning", "error")
CUT = "cut"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a run's log. Level `cut` is no line of the run's: `cut` lines are missing here."""

    at: datetime
    level: str
    text: str
    cut: int = 0
