"""What a run's configuration is: the pool's template, its deployment's and its own job variables, and secrets.

The template is read once and again when its version changed; the version is asked for once a second at most, and only
when a run starts. Secrets are filled in last and are in nothing but the configuration.
"""

import asyncio
import json
from typing import Any

from pydantic import ValidationError

from dispatcher.clock import Clock
from dispatcher.documents import faults_of
from dispatcher.errors import InvalidInput, PoolNotFound, ServerError
from dispatcher.job_template import InvalidTemplate, InvalidVariables, Level, Template, template_of
from dispatcher.models import HandOff, RunSpec
from dispatcher.store import Store

from .children import clean_environment
from .contract import CannotStart, Configuration, Outcome, WorkerType
from .outcomes import error_result
from .secrets import Secrets

ASK_AGAIN_SECONDS = 1.0
REASON = "invalid_job_variables"


class Configurations:
    """Configures the runs of one pool for one worker type."""

    def __init__(self, store: Store, pool: str, kind: WorkerType, clock: Clock) -> None:
        self._store, self._pool, self._kind, self._clock = store, pool, kind, clock
        self._lock = asyncio.Lock()
        self._template: Template | InvalidTemplate | None = None
        self._version = -1
        self._asked: float | None = None

    async def of_run(self, run: HandOff, spec: RunSpec) -> Configuration:
        """The run's configuration. Raises CannotStart with all that does not fit."""
        template = await self._current()
        if isinstance(template, InvalidTemplate):
            raise _refused(f"the pool's template cannot be used: {template}")
        secrets = _secrets(template)
        levels = [Level("deployment", spec.deployment_variables or {}), Level("run", spec.job_variables or {})]
        try:
            found = template.render(levels, context=_context(run, spec), secrets=secrets).configuration
        except (InvalidVariables, InvalidInput) as error:
            raise _refused(secrets.hide(str(error))) from None
        try:
            return self._kind.configuration.model_validate(self._fitting(found))
        except ValidationError as error:
            faults = "\n".join(f"{fault.pointer or 'all of it'}: {fault.text}" for fault in faults_of(error))
            text = f"the template makes no configuration of a {self._kind.type} worker:\n{secrets.hide(faults)}"
            raise _refused(text) from None  # the cause holds values

    async def secrets(self) -> Secrets:
        """What the pool allows of this worker's secrets; nothing while its template cannot be used."""
        template = await self._current()
        return Secrets((), {}) if isinstance(template, InvalidTemplate) else _secrets(template)

    def _fitting(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """Without what is empty and unknown to this type: templates of Prefect have a name and labels everywhere."""
        known = self._kind.configuration.model_fields
        return {
            name: value for name, value in configuration.items() if name in known or value not in (None, "", {}, [])
        }

    async def _current(self) -> Template | InvalidTemplate:
        async with self._lock:
            now = self._clock.monotonic()
            if self._template is None or self._asked is None or now - self._asked >= ASK_AGAIN_SECONDS:
                self._template = await self._read(self._template)
                self._asked = now
            return self._template

    async def _read(self, known: Template | InvalidTemplate | None) -> Template | InvalidTemplate:
        """The template as it is now; while the server is away, the one that is known."""
        while True:
            try:
                if known is not None and await self._store.pools.template_version(self._pool) == self._version:
                    return known
                stored = await self._store.pools.template(self._pool)
            except (ServerError, PoolNotFound):
                if known is not None:
                    return known
                await self._clock.sleep(0.2)
                continue
            self._version = stored.version
            try:
                return Template(json.loads(stored.text) if stored.text else template_of(self._kind.configuration))
            except InvalidTemplate as error:
                return error


def _secrets(template: Template) -> Secrets:
    return Secrets(template.document.get("secrets", {}).get("allow", ()), clean_environment())


def _context(run: HandOff, spec: RunSpec) -> dict[str, Any]:
    """What `ctx.` placeholders speak of; flow and flow_run are Prefect's words for code and run."""
    code = (spec.entrypoint or "").rpartition(":")[2] or spec.deployment or ""
    said = {"id": run.id, "name": spec.name or run.id}
    return {"run": said, "flow_run": said, "flow": {"name": code}, "deployment": {"name": spec.deployment or ""}}


def _refused(text: str) -> CannotStart:
    return CannotStart(Outcome("failed", REASON, error_result(text)))
