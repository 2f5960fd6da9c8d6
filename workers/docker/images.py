"""Images: there already, or pulled by the policy. Pulls of the same image at the same time are one pull."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

from dispatcher.log import get_logger

from ..contract import CannotStart, Outcome
from ..outcomes import error_result, failure
from .bodies import Plan
from .configuration import DockerConfiguration
from .faults import Refused

if TYPE_CHECKING:
    from .client import Connection
    from .daemon import Daemon

_MISSING = re.compile(r"(?i)manifest unknown|manifest for .* not found|repository does not exist|no such image")
_DENIED = re.compile(r"(?i)unauthorized|no basic auth|authentication required|denied|forbidden|incorrect username")
_log = get_logger("worker")


class Images:
    """Brings images."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon
        self._pulls: dict[tuple[str, ...], asyncio.Task[None]] = {}

    async def bring(self, plan: Plan) -> None:
        """Make certain that the image is there. Raises CannotStart, DaemonAway."""
        wanted = plan.configuration
        policy = wanted.pull_policy
        if policy in ("never", "if_not_present"):
            if await self._is_here(wanted.image):
                return
            if policy == "never":
                text = f"the image {wanted.image!r} is not on this daemon, and image_pull_policy is never: put it there"
                raise CannotStart(Outcome("failed", "image_missing", error_result(text)))
        try:
            await self._pulled(wanted)
        except Refused as error:
            if policy == "if_possible" and await self._is_here(wanted.image):
                _log.warning(
                    "image.unpulled", image=wanted.image, error=error.text, next="the one that is here is used"
                )
                return
            raise CannotStart(_not_pulled(plan, error)) from None

    async def _is_here(self, image: str) -> bool:
        try:
            await self._daemon.call(lambda client: client.inspect_image(image))
        except Refused as error:
            if error.is_missing:
                return False
            raise CannotStart(Outcome("failed", "container_refused", error_result(error))) from None
        return True

    async def _pulled(self, wanted: DockerConfiguration) -> None:
        """Pull it, or wait for whoever pulls the same. Cancelled, the pull goes on: it does no harm."""
        credentials = wanted.registry_credentials
        who = (credentials.username, credentials.password.get_secret_value()) if credentials else ()
        key = (wanted.image, wanted.platform or "", *who)
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = asyncio.get_running_loop().create_task(self._pull(wanted))
            pull.add_done_callback(lambda done: self._ended(key, done))
        await asyncio.shield(pull)

    def _ended(self, key: tuple[str, ...], pull: "asyncio.Task[None]") -> None:
        del self._pulls[key]
        if not pull.cancelled():
            pull.exception()  # who waited for it was told

    async def _pull(self, wanted: DockerConfiguration) -> None:
        await self._daemon.pull(lambda client: _pull(client, wanted))

    async def close(self) -> None:
        """Wait for nobody any more."""
        for pull in list(self._pulls.values()):
            pull.cancel()
        await asyncio.gather(*self._pulls.values(), return_exceptions=True)


def _pull(client: "Connection", wanted: DockerConfiguration) -> None:
    """Pull it to the end. Raises Refused for what the stream of answers says."""
    parts = client.pull(
        wanted.image, stream=True, decode=True, platform=wanted.platform, auth_config=_authentication(wanted)
    )
    for part in parts:
        if "error" in part:
            raise Refused(500, str(part["error"]))


def _authentication(wanted: DockerConfiguration) -> dict[str, Any] | None:
    """None: what the worker's own `docker login` knows."""
    found = wanted.registry_credentials
    if found is None:
        return None
    said = {"username": found.username, "password": found.password.get_secret_value()}
    return {**said, "serveraddress": found.registry_url} if found.registry_url else said


def _not_pulled(plan: Plan, error: Refused) -> Outcome:
    """Missing and denied are for people to mend; anything else may be better at another attempt."""
    text = f"the image {plan.configuration.image!r} could not be pulled: {error.text}"
    if error.is_missing or _MISSING.search(error.text):
        return Outcome("failed", "image_missing", error_result(text))
    if error.status in (401, 403) or _DENIED.search(error.text):
        text += "; check registry_credentials"
        return Outcome("failed", "registry_denied", error_result(text))
    if error.status == 400:
        return Outcome("failed", "container_refused", error_result(text))
    return failure(plan.retry, plan.run.attempt, "image_missing", text)
