"""What a worker gives its type: services for the code of runs, their configurations, and whose claims count."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import BaseModel

from dispatcher.errors import InvalidInput
from dispatcher.job_template import Resolver
from dispatcher.models import HandOff, RunSpec

from .services import NoServices, RunServices

if TYPE_CHECKING:
    import builtins


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


class Claims(Protocol):
    """Knows whose claims count; the worker provides it."""

    async def installation(self) -> str:
        """A word for this pool that no pool of another server has. Raises ServerError."""
        ...

    async def are_current(self, claims: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether each claim (run id, token) is held by a worker or waits to be adopted. Raises ServerError."""
        ...

    async def logged_until(self, run_id: str) -> int:
        """When the last line of a run's log was written, in ms; 0 for an empty log. Raises ServerError."""
        ...


class Attachment:
    """What a type has of its worker. It is attached at the start of each session, before its first run."""

    type: ClassVar[str]
    configuration: "ClassVar[builtins.type[Configuration]]" = Configuration
    _services: Callable[[HandOff], RunServices] = NoServices
    _configure: Configurator | None = None
    _claims: Claims | None = None

    def attach(
        self,
        services: Callable[[HandOff], RunServices],
        configure: Configurator | None = None,
        claims: Claims | None = None,
    ) -> None:
        """What the code of runs may ask of their worker, how their configurations are made, and whose claims count.

        Called at the start of each session, before its first run.
        """
        self._services, self._configure, self._claims = services, configure, claims

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
