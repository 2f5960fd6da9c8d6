"""What is done to containers: created under their claim's name, started, ended, removed; any of it may be repeated."""

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

from ..contract import CannotStart, Outcome
from ..outcomes import error_result, failure
from .bodies import Plan, body_of
from .daemon import to_its_end
from .faults import DaemonAway, Refused
from .images import Images
from .labels import RUN_ID, TOKEN, container_name, labels_of
from .orphans import Orphans

if TYPE_CHECKING:
    from .daemon import Daemon

_NOT_THERE = re.compile(r"(?i)executable file not found|no such file or directory|not a directory|permission denied")
"""What the runtime says when the command or the working directory is not in the image."""


class Containers:
    """Containers of one daemon."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon
        self._images = Images(daemon)
        self.orphans = Orphans(daemon)
        self._begun: set[str] = set()

    async def bring(self, plan: Plan) -> None:
        """Its image. Raises CannotStart, DaemonAway."""
        await self._images.bring(plan)

    async def create(self, plan: Plan) -> None:
        """Create it, connected to its networks; one of this very claim is taken as it is. Raises as `bring`."""
        name, body = _name(plan), body_of(plan)
        platform, networks = plan.configuration.platform, plan.configuration.networks[1:]
        try:
            try:
                await self._daemon.call(lambda client: client.create_container_from_config(body, name, platform))
            except Refused as error:
                if error.status != 409 or not await self._is_of(plan):
                    raise
            for network in networks:
                await self._connect(name, network)
        except Refused as error:
            raise CannotStart(_refused(plan, error)) from None

    async def _is_of(self, plan: Plan) -> bool:
        """Whether the container of that name is of this claim: it was created before, and nobody heard of it."""
        found = await self._daemon.call(lambda client: client.inspect_container(_name(plan)))
        labels = labels_of(found)
        return (labels.get(RUN_ID), labels.get(TOKEN)) == (plan.run.id, plan.run.token)

    async def _connect(self, name: str, network: str) -> None:
        try:
            await self._daemon.call(lambda client: client.connect_container_to_network(name, network))
        except Refused as error:
            if error.status not in (403, 409) or "already exists" not in error.text:
                raise

    async def start(self, plan: Plan) -> str:
        """Start it, once no container of another claim of its run goes on; its id. Raises as `bring`."""
        name = _name(plan)
        try:
            await self.orphans.clear(plan.run.id, plan.place.installation, name)
            self._begun.add(name)
            await self._daemon.call(lambda client: client.start(name))
            found = await self._daemon.call(lambda client: client.inspect_container(name))
        except Refused as error:
            raise CannotStart(_refused(plan, error)) from None
        return str(found["Id"])

    def keep(self, plan: Plan) -> None:
        """What was started is watched: it is not discarded any more."""
        self._begun.discard(_name(plan))

    async def discard(self, plan: Plan) -> None:
        """It is not wanted after all. One that may run is gone when this returns, however long the daemon is away."""
        name = _name(plan)
        if name in self._begun:
            await to_its_end(asyncio.get_running_loop().create_task(self.orphans.remove(name)))
            self._begun.discard(name)
            return
        with contextlib.suppress(DaemonAway, Refused):
            await self._daemon.call(lambda client: client.remove_container(name, v=True, force=True))

    async def end(self, container: str, grace: float) -> dict[str, Any] | None:
        """Ask it to end by its own stop signal, kill it after the grace; what the daemon knows of it then.

        It does not run any more when this returns; None when it is gone.
        """
        found = await self._daemon.inspect(container)
        if found is None or not found["State"]["Running"]:
            return found
        signal = found["Config"].get("StopSignal") or "SIGTERM"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._signal(container, signal)
                return await self._daemon.until_it_ended(container)
        await self._signal(container, "SIGKILL")
        return await self._daemon.until_it_ended(container)

    async def _signal(self, container: str, signal: str) -> None:
        try:
            await self._daemon.until_it_answers(lambda client: client.kill(container, signal=signal))
        except Refused as error:
            if error.status not in (404, 409):  # gone, or not running
                raise

    async def close(self) -> None:
        """Wait for no image."""
        await self._images.close()


def _name(plan: Plan) -> str:
    return container_name(plan.place.pool, plan.run)


def _refused(plan: Plan, error: Refused) -> Outcome:
    """What the daemon will not do: for people to mend, unless it is the daemon that failed."""
    if plan.spec.command is not None and _NOT_THERE.search(error.text):
        return Outcome("failed", "not_found", error_result(f"its container could not be started: {error.text}"))
    if error.status >= 500:
        return failure(plan.retry, plan.run.attempt, "container_refused", str(error))
    return Outcome("failed", "container_refused", error_result(error))
