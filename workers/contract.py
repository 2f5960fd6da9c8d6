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
    adopt    another worker died and this run's infrastructure may live: True when it was found and can be watched.

If the process dies between any two of these, the lease ends, the run is reclaimed and comes back with one crash charged
and a new claim token. Everything here may therefore happen twice for one run id, never for one claim.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, Self

from pydantic import BaseModel

from dispatcher.errors import InvalidInput
from dispatcher.job_template import Resolver
from dispatcher.models import HandOff, RunSpec

from .services import NoServices, RunServices

if TYPE_CHECKING:
    import builtins


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


class Configuration(BaseModel, extra="forbid"):
    """What a pool of this type may set for each run; a type subclasses it, its schema is the base job template."""


class Configurator(Protocol):
    """Makes the configurations of runs; the worker provides it."""

    async def of_run(self, run: HandOff, spec: RunSpec) -> Configuration:
        """The run's configuration. Raises CannotStart."""
        ...

    async def secrets(self) -> Resolver:
        """Gives the secrets that the pool allows."""
        ...


class WorkerType(ABC):
    """One kind of infrastructure."""

    type: ClassVar[str]
    auto_start: ClassVar[bool] = False
    """Admitted is running: there is nothing to prepare, `start` is not called."""
    configuration: "ClassVar[builtins.type[Configuration]]" = Configuration

    @classmethod
    def for_app(cls, app: str | None, app_dir: str) -> Self:  # noqa: ARG003 - types with an application import it
        """An instance for a worker that is started by name; `app` is what `--app` says, found from `app_dir`."""
        if app:
            raise InvalidInput(f"{cls.type} workers execute no Python application: leave --app out")
        return cls()

    prefetch_seconds: ClassVar[float] = 0.0
    """How long before they are due runs are prepared, unless the worker is told otherwise."""
    cancel_grace: float = 10.0
    """Seconds that a run has to end once it is asked; the worker sets it."""
    _services: Callable[[HandOff], RunServices] = NoServices
    _configure: Configurator | None = None

    def attach(self, services: Callable[[HandOff], RunServices], configure: Configurator | None = None) -> None:
        """What the code of runs may ask of their worker, and how their configurations are made.

        Called at the start of each session, before its first run.
        """
        self._services, self._configure = services, configure

    async def configured(self, run: HandOff, spec: RunSpec) -> Configuration:
        """The run's configuration, of this type's class: pool's template, deployment's and run's job variables.

        It may hold secrets: nothing of it belongs in a log or an error. Raises CannotStart where they do not fit.
        """
        if self._configure is None:
            raise InvalidInput(f"{self.type}: a run is configured by its worker, and there is none")
        return await self._configure.of_run(run, spec)

    async def _secrets(self) -> Resolver:
        """Gives secrets of this worker that the pool's template allows. It raises InvalidInput for others."""
        if self._configure is None:
            raise InvalidInput(f"{self.type}: secrets are given by a worker, and there is none")
        return await self._configure.secrets()

    def services(self, run: HandOff) -> RunServices:
        """What the code of this claim may ask of its worker."""
        return self._services(run)

    async def open(self) -> None:  # noqa: B027 - many types need none
        """Make ready; raise where this type cannot work here. Called once before the first run."""

    async def close(self) -> None:  # noqa: B027 - see open
        """Release what `open` took."""

    async def prepare(self, run: HandOff) -> None:  # noqa: B027 - many types have nothing to prepare
        """Make ready what can be before the run is due."""

    async def start(self, run: HandOff) -> str:
        """Bring up the run's infrastructure and return its id."""
        raise NotImplementedError(f"{self.type} workers start nothing for run {run.id}")

    @abstractmethod
    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        """Wait for the run's end."""

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:  # noqa: B027 - see its docstring
        """Make certain that nothing of the run goes on. Types without infrastructure: `watch` was cancelled before."""

    def is_over(self, run: HandOff) -> bool:  # noqa: ARG002 - see stop
        """Whether nothing of the run goes on. Only types whose `stop` may wait for ever need to answer."""
        return True

    async def adopt(self, run: HandOff, infrastructure: str) -> bool:  # noqa: ARG002 - by default nothing is found
        """Whether the run's infrastructure, started by another worker, is here to be watched."""
        return False
