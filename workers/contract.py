"""The contract between the worker and its types: how a run is started, watched, stopped and adopted.

The worker owns the conversation with Redis (turns, heartbeats, leases, claims); a type owns the infrastructure of one
run. A new type subclasses WorkerType, names itself, and is found by the entry point group `sluice.workers`.

What happens, and who decides:

    start    the run is admitted, its slots are held. Bring up its infrastructure and return an id that finds it again
             (a container id, a process group). Raise, and the run has failed or is tried again by its retry policy.
    prepare  it was given to us before it is due (only where the worker prefetches): do what can be done before, so that
             start is quick. Raise as start does. What comes next is start, or stop when it is not to be.
    watch    wait until it is over and say how. Called once after start or adopt; the only place that ends a run.
    stop     somebody cancelled the run, or the worker stopped trusting its lease: ask, give `grace` seconds, then kill.
             Return when it is certain that nothing of it goes on; `watch` then returns or is cancelled.
    adopt    its worker went, its infrastructure may live: True when it was found and can be watched.
    release  this worker goes: stop watching, the infrastructure goes on, for another worker of its site to adopt.
    forget   the end of the claim is in Redis: what was kept until then (a stopped container) may go.

If the process dies between any two of these, the lease ends. A run of a type with a `site` whose start was told keeps
its slots and its claim, and a worker of that site adopts it. Any other is reclaimed and comes back with one crash
charged and a new claim token. Everything here may therefore happen twice for one run id; start never for one claim.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

from dispatcher.errors import InvalidInput
from dispatcher.models import HandOff

from .attachment import Attachment, Claims, Configuration, Configurator

__all__ = [
    "Attachment", "CannotStart", "Claims", "Configuration", "Configurator", "Outcome", "StillRunning", "WorkerType",
]  # fmt: skip


class Outcome(NamedTuple):
    """How a claim ends.

    `outcome` is completed | failed | cancelled | crashed with a reason, retry with a delay in ms, return (unstarted:
    handed back, nothing charged) or lost (its process died: one crash charged).
    """

    outcome: str
    argument: str = ""
    result: bytes = b""


class StillRunning(Exception):
    """Raised by `watch`: the claim is to end as the verdict says, but something of it goes on; `stop` comes next."""

    def __init__(self, verdict: Outcome) -> None:
        self.verdict = verdict
        super().__init__(verdict.argument)


class CannotStart(Exception):
    """Raised by `start`: the claim ends with this outcome, there is nothing to watch or stop."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.argument)


class WorkerType(Attachment, ABC):
    """One kind of infrastructure."""

    auto_start: ClassVar[bool] = False
    """Admitted is running: there is nothing to prepare, `start` is not called."""

    @classmethod
    def for_app(cls, app: str | None, app_dir: str) -> Self:  # noqa: ARG003 - types with an application import it
        """An instance for a worker that is started by name; `app` is what `--app` says, found from `app_dir`."""
        if app:
            raise InvalidInput(f"{cls.type} workers execute no Python application: leave --app out")
        return cls()

    prefetch_seconds: ClassVar[float] = 0.0
    """How long before they are due runs are prepared, unless the worker is told otherwise."""
    site: str = ""
    """Where infrastructure lives on without its worker, as `open` finds it; '' where it does not. Workers of one site
    adopt each other's runs. At most 128 of `A-Z a-z 0-9 . _ : -`."""
    cancel_grace: float = 10.0
    """Seconds that a run has to end once it is asked; the worker sets it."""

    async def open(self) -> None:
        """Make ready; raise where this type cannot work here. Called once before the first run."""

    async def close(self) -> None:
        """Release what `open` took."""

    async def prepare(self, run: HandOff) -> None:
        """Make ready what can be before the run is due."""

    async def start(self, run: HandOff) -> str:
        """Bring up the run's infrastructure and return its id."""
        raise NotImplementedError(f"{self.type} workers start nothing for run {run.id}")

    @abstractmethod
    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        """Wait for the run's end."""

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:
        """Make certain that nothing of the run goes on. Types without infrastructure: `watch` was cancelled before."""

    def is_over(self, run: HandOff) -> bool:  # noqa: ARG002 - see stop
        """Whether nothing of the run goes on. Only types whose `stop` may wait for ever need to answer."""
        return True

    def is_well(self) -> bool:
        """Whether its infrastructure answers, as far as is known: asked by probes, from another thread, often.

        Answer at once, from what was seen last; a worker that is not well is not ready, and still takes its turns.
        """
        return True

    async def adopt(self, run: HandOff, infrastructure: str) -> bool:  # noqa: ARG002 - by default nothing is found
        """Whether the run's infrastructure, started by another worker, is here to be watched."""
        return False

    async def release(self, run: HandOff) -> None:
        """Stop watching; what goes on is another worker's."""

    async def forget(self, run: HandOff) -> None:
        """The end of the claim is in Redis."""
