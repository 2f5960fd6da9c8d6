"""Containers that nobody watches: of an earlier claim, or of a run that is over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dispatcher.log import get_logger

from .faults import Refused
from .labels import INSTALLATION, RUN_ID, TOKEN, Manner, labels_of

if TYPE_CHECKING:
    from ..attachment import Claims
    from .daemon import Daemon

_AGAIN_SECONDS = 0.2
_log = get_logger("worker")


class Orphans:
    """Finds them by their labels, and makes certain that nothing of them goes on."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon

    async def found(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        """Containers with these labels, running or not."""
        filters = {"label": [f"{name}={value}" for name, value in labels.items()]}
        return list(await self._daemon.call(lambda client: client.containers(all=True, filters=filters)))

    async def clear(self, run_id: str, installation: str, own: str) -> None:
        """Before a run starts: no container of another claim of it may go on. Raises DaemonAway, Refused."""
        wanted = {RUN_ID: run_id, **({INSTALLATION: installation} if installation else {})}
        for container in await self.found(wanted):
            if own not in (container["Id"], *(name.lstrip("/") for name in container["Names"])):
                await self.end(container)

    async def sweep(self, installation: str, claims: "Claims") -> None:
        """End what belongs to a claim that no worker holds and none is to adopt. Raises as `clear`, and ServerError."""
        containers = await self.found({INSTALLATION: installation})
        named = [
            (labels_of(container).get(RUN_ID, ""), labels_of(container).get(TOKEN, "")) for container in containers
        ]
        for container, is_current in zip(containers, await claims.are_current(named), strict=True):
            if not is_current:
                await self.end(container)

    async def end(self, container: dict[str, Any]) -> None:
        """Kill it and take it away; one that is to be kept is only killed. Raises Refused."""
        labels = labels_of(container)
        if container.get("State") == "running":
            _log.warning(
                "container.orphan", run_id=labels.get(RUN_ID), claim_token=labels.get(TOKEN), container=container["Id"]
            )
        if Manner.of(container).auto_remove:
            await self.remove(container["Id"])
        else:
            await self.kill(container["Id"])

    async def kill(self, container: str) -> None:
        """End it without asking. It does not run any more when this returns. Raises Refused."""
        try:
            await self._daemon.until_it_answers(lambda client: client.kill(container, signal="SIGKILL"))
        except Refused as error:
            if error.status not in (404, 409):  # gone, or not running
                raise
        await self._daemon.until_it_ended(container)

    async def remove(self, container: str) -> None:
        """Kill it where it runs, and take it away with its nameless volumes. It is gone when this returns."""
        while True:
            try:
                await self._daemon.until_it_answers(
                    lambda client: client.remove_container(container, v=True, force=True)
                )
            except Refused as error:
                if error.is_missing:
                    return
                if error.status != 409:  # 409: it is being removed by somebody
                    raise
                await self._daemon.pause(_AGAIN_SECONDS)
            else:
                return

    async def remove_all(self, containers: Sequence[str]) -> None:
        """Take these away; what the daemon refuses is said, and left."""
        for container in containers:
            try:
                await self.remove(container)
            except Refused as error:
                _log.warning("container.left", container=container, error=error.text)
