"""What can go wrong, as a tree. Each message says what, which one and what to do next.

SluiceError
    InvalidInput            a name, limit or run that is not well formed; nothing was changed
        PayloadTooLarge, DecodeError (bytes that are not what they should be), PartlyUnreadable (some of a list)
    NotFound                PoolNotFound, QueueNotFound, RunNotFound, WorkerNotFound, PublisherNotFound,
                            DeploymentNotFound, ScheduleNotFound
    Conflict                what is asked for does not fit what is there
        PoolExists, QueueExists, PoolHoldsRuns, QueueHoldsRuns, WorkerTypeMismatch, TooManyLanes, RunNotOver,
        PublisherHoldsEntries, TooManyPublishers, DeploymentExists, DeploymentChanged, DeploymentMoving
    WorkerGone              this worker's lease ended; its runs are somebody else's
    WorkerStuck             a run went on that cannot be ended
    RunFailed               a result was asked for of a run that did not complete
    ResultTimeout           it is not over yet
    ClaimLost               a run's code speaks for a claim that is over
    NoRun                   `context` was used where no run is executed
    SettingsError           an environment variable with a bad value
    ServerError             ServerUnreachable, ServerUnfit (too old, eviction policy), CredentialsRefused,
                            NotDurable (published, but not as safely as was asked),
                            ServerFull (of memory: what would add to it was refused whole),
                            EncryptionRefused (certificates are not what one side wants),
                            ScriptsMissing (of this release, and this user may not load them)
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_SHOWN = 3


class SluiceError(Exception):
    """Base of all that Sluice raises on purpose."""


class InvalidInput(SluiceError):
    """Not well formed; nothing was changed."""


class PayloadTooLarge(InvalidInput):
    """A run's spec is over the limit."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(
            f"the run is {size:,} bytes with its parameters, {limit:,} are allowed: "
            "put the data elsewhere and pass a reference"
        )


class DecodeError(InvalidInput):
    """Bytes from outside that are not what they should be."""


class PartlyUnreadable(DecodeError):
    """Some of a list cannot be read: `unreadable` says why, by id or name; `found` has all the others."""

    def __init__(self, what: str, unreadable: Mapping[str, str], found: Sequence[Any], remedy: str) -> None:
        self.unreadable, self.found = dict(unreadable), list(found)
        named = "; ".join(f"{name} ({why})" for name, why in list(self.unreadable.items())[:_SHOWN])
        more = f" and {len(unreadable) - _SHOWN} more" if len(unreadable) > _SHOWN else ""
        plural = "s" * (len(unreadable) != 1)
        super().__init__(f"{len(unreadable)} {what}{plural} cannot be read: {named}{more}. {remedy}")


class NotFound(SluiceError):
    """Something named does not exist."""


class PoolNotFound(NotFound):
    """There is no such work pool."""

    def __init__(self, pool: str) -> None:
        self.pool = pool
        how = f"`sluice pool create {pool} --type function`, or `--type process` for commands and entrypoints"
        super().__init__(f"there is no work pool {pool!r}: create it with {how}")


class QueueNotFound(NotFound):
    """There is no such work queue."""

    def __init__(self, pool: str, queue: str) -> None:
        self.pool, self.queue = pool, queue
        super().__init__(
            f"there is no work queue {queue!r} in pool {pool!r}: `sluice queue ls --pool {pool}` shows them"
        )


class RunNotFound(NotFound):
    """There is no such run, or its retention is over."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"there is no run {run_id!r}: it never was in this pool (--pool names another), or its retention is over"
        )


class WorkerNotFound(NotFound):
    """There is no such live worker."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        super().__init__(f"there is no live worker {worker!r}: `sluice worker ls` shows them")


class PublisherNotFound(NotFound):
    """There is no publisher of that name with a stream of its own."""

    def __init__(self, pool: str, publisher: str) -> None:
        self.pool, self.publisher = pool, publisher
        super().__init__(
            f"pool {pool!r} knows no publisher {publisher!r}: `sluice intake publishers ls --pool {pool}` shows them"
        )


class DeploymentNotFound(NotFound):
    """There is no such deployment."""

    def __init__(self, name: str, pool: str | None = None) -> None:
        where = f" in pool {pool!r}" if pool else ""
        super().__init__(f"there is no deployment {name!r}{where}; `sluice deployment ls` lists them")


class ScheduleNotFound(NotFound):
    """A deployment has no such schedule."""

    def __init__(self, deployment: str, schedule: str, known: list[str]) -> None:
        has = f"it has {', '.join(known)}" if known else "it has none"
        super().__init__(f"deployment {deployment!r} has no schedule {schedule!r}: {has}")


class Conflict(SluiceError):
    """What is asked for does not fit what is there; nothing was changed."""


class PoolExists(Conflict):
    """A pool of that name is there already."""

    def __init__(self, pool: str, worker_type: str) -> None:
        self.pool, self.worker_type = pool, worker_type
        super().__init__(f"work pool {pool!r} exists already (type {worker_type}): change it with `sluice pool update`")


class QueueExists(Conflict):
    """A queue of that name is there already."""

    def __init__(self, pool: str, queue: str) -> None:
        self.pool, self.queue = pool, queue
        super().__init__(f"work queue {queue!r} exists already in pool {pool!r}: change it with `sluice queue update`")


class RunNotOver(Conflict):
    """Only a run that is over is tried again by hand."""

    def __init__(self, run_id: str, state: str) -> None:
        self.run_id, self.state = run_id, state
        super().__init__(f"run {run_id} is {state}, not over: cancel it first, or wait for its end")


class QueueDeleting(Conflict):
    """The queue is being deleted and takes no new runs."""

    def __init__(self, pool: str, queue: str) -> None:
        self.pool, self.queue = pool, queue
        super().__init__(f"work queue {queue!r} of pool {pool!r} is being deleted: publish into another one")


class HoldsRuns(Conflict):
    """Deleting was refused because there are runs."""

    def __init__(self, what: str, queued: int, scheduled: int, running: int, *others: int) -> None:
        """`others` are live workers, unread entries of intake and deployments, where a pool is meant."""
        workers, unread, deployments = others or (0, 0, 0)
        self.queued, self.scheduled, self.running = queued, scheduled, running
        self.workers, self.unread, self.deployments = workers, unread, deployments
        held = f"{queued} queued, {scheduled} scheduled and {running} running runs"
        also = f", {workers} live workers" if workers else ""
        also += f", {unread} unread entries of intake (a dispatcher reads them)" if unread else ""
        also += f", {deployments} deployments (move or delete them)" if deployments else ""
        super().__init__(f"{what} holds {held}{also}: wait until it is empty, or cancel them with `--runs cancel`")


class PoolHoldsRuns(HoldsRuns):
    """A pool with runs or workers is not deleted."""


class QueueHoldsRuns(HoldsRuns):
    """A queue with runs is not deleted."""


class PublisherHoldsEntries(Conflict):
    """A publisher whose stream has unread entries stays."""

    def __init__(self, publisher: str, unread: int) -> None:
        self.publisher, self.unread = publisher, unread
        super().__init__(
            f"publisher {publisher!r} has {unread} unread entries: a dispatcher reads them; stop the publisher, then "
            "try again"
        )


class TooManyPublishers(Conflict):
    """A pool has as many publishers with streams of their own as it may have."""

    def __init__(self, pool: str, most: int) -> None:
        self.pool, self.most = pool, most
        super().__init__(f"work pool {pool!r} has {most} publishers already: let some share a stream")


class DeploymentExists(Conflict):
    """The name belongs to a deployment of this or another pool."""

    def __init__(self, name: str, pool: str) -> None:
        super().__init__(
            f"there is a deployment {name!r} in pool {pool!r}: choose another name, or change it with"
            f" `sluice deployment update` (`--pool` moves it)"
        )


class DeploymentChanged(Conflict):
    """Somebody changed it meanwhile."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"deployment {name!r} was changed meanwhile, it has version {version} now: try again")


class DeploymentMoving(Conflict):
    """It is on its way to another pool."""

    def __init__(self, name: str, pool: str) -> None:
        self.pool = pool
        super().__init__(f"deployment {name!r} is on its way to pool {pool!r}: try again in a second")


class WorkerTypeMismatch(Conflict):
    """A worker of another type than its pool's."""

    def __init__(self, pool: str, pool_type: str, worker_type: str) -> None:
        self.pool, self.pool_type, self.worker_type = pool, pool_type, worker_type
        super().__init__(
            f"work pool {pool!r} is of type {pool_type!r}, this worker of type {worker_type!r}: "
            f"start it with `--type {pool_type}` or in another pool"
        )


class TooManyLanes(Conflict):
    """Too many distinct worker filters in one pool."""

    def __init__(self, pool: str, most: int) -> None:
        self.pool, self.most = pool, most
        super().__init__(
            f"work pool {pool!r} has {most} distinct worker filters already: "
            "let workers share `--queue`, `--match` and `--label`, or use another pool"
        )


class WorkerGone(SluiceError):
    """The lease ended, or the worker was told to go; its runs are somebody else's."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        super().__init__(f"worker {worker!r} is not known any more: its lease ended and its runs were taken back")


class WorkerStuck(SluiceError):
    """A run went on that cannot be ended. The process has to end, with code 75, to be started again."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        super().__init__(
            f"worker {worker!r} has a run that was asked to end, goes on, and cannot be killed: its process ends with "
            "code 75 and is to be started again; the run's slots are free when the lease is over"
        )


class RunFailed(SluiceError):
    """The run is over and did not complete."""

    def __init__(self, run_id: str, state: str, reason: str, error: str) -> None:
        self.run_id, self.state, self.reason, self.error = run_id, state, reason, error
        super().__init__(
            f"run {run_id} ended as {state}" + (f" ({reason})" if reason else "") + (f": {error}" if error else "")
        )


class ClaimLost(SluiceError):
    """The run's claim is over, was taken back, or is asked to end: nothing may be done in its name any more."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"run {run_id} does not hold its claim any more, or was asked to end: nothing was published")


class NoRun(SluiceError):
    """No run is executed here."""

    def __init__(self) -> None:
        super().__init__("no run is executed here: `context` is for code that a Sluice worker runs")


class ResultTimeout(SluiceError):
    """The run was not over in the time given; it goes on."""

    def __init__(self, run_id: str, seconds: float) -> None:
        self.run_id, self.seconds = run_id, seconds
        super().__init__(
            f"run {run_id} is not over after {seconds:g} s: it goes on, ask again or `sluice run inspect` it"
        )


class SettingsError(SluiceError):
    """A setting has a bad value."""


class ServerError(SluiceError):
    """The Redis server is away or unfit."""


class ServerUnreachable(ServerError):
    """No answer from the server."""

    def __init__(self, url: str, cause: str) -> None:
        self.url = url
        super().__init__(f"the server at {url} does not answer ({cause}): is it up, and is SLUICE_REDIS_URL right?")


class ServerSilent(ServerUnreachable):
    """Connected, but no answer in time; what was sent may have been done."""


class ServerUnfit(ServerError):
    """The server answers but must not be used as it is."""


class ServerFull(ServerUnfit):
    """The server has no memory for more: the call changed nothing, and may be made again when runs have ended."""

    def __init__(self, url: str, cause: str) -> None:
        self.url = url
        super().__init__(
            f"the server at {url} is full ({cause}): nothing was changed. Try again when runs have ended, "
            "which goes on meanwhile; or give it more memory, or keep finished runs for less time"
        )


class CredentialsRefused(ServerUnfit):
    """The server wants other credentials, or they do not permit what Sluice does."""


class EncryptionRefused(ServerUnfit):
    """No encrypted connection: certificates are not what one of both sides wants."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        super().__init__(f"no connection to the server at {url}: {why}")


class NotDurable(ServerError):
    """Runs were published, but it is not known that they are as safe as was asked; they may be executed as they are."""

    run_ids: tuple[str, ...] = ()

    def __init__(self, level: str, run_ids: Iterable[str], reached: str) -> None:
        """`reached` says how far it came."""
        self.level, self.run_ids, self.reached = level, tuple(run_ids), reached
        first = ", ".join(self.run_ids[:_SHOWN])
        more = f" and {len(self.run_ids) - _SHOWN} more" if len(self.run_ids) > _SHOWN else ""
        super().__init__(
            f"published, but not known to be {level!r}: {reached}. Runs {first}{more} are in the server's memory and "
            "may get lost with it: publish them again under these run ids, which doubles none and waits once more"
        )


class ScriptsMissing(ServerUnfit):
    """The server lacks a script of this release, and this user may not load it."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"the server at {url} lacks a script of this release, and this user may not load it: start a dispatcher of "
            "the same release, whose user may"
        )
