"""Scripts are loaded by dispatchers, for everybody: the other services may not (`sluice acl`).

A server forgets scripts when it restarts, when a replica takes its place, and at SCRIPT FLUSH. Each release loads its
own, so two work side by side; services of a release without a dispatcher wait for one.
"""

from .clock import Clock
from .errors import CredentialsRefused, ServerError
from .log import get_logger
from .store import Link

LOOK_SECONDS = 1.0
_log = get_logger("dispatcher")


class ScriptLoading:
    """Keeps the server in possession of our scripts."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link, self._clock = link, clock
        self._is_refused = False

    async def look(self) -> None:
        """Load what is missing. Raises ServerError when the server is away; that it refuses is logged, once."""
        try:
            loaded = await self._link.load_scripts()
        except CredentialsRefused as error:
            if not self._is_refused:
                _log.warning("scripts.refused", error=str(error), next="allow +script|load and +script|exists")
            self._is_refused = True
            return
        self._is_refused = False
        if loaded:
            _log.info("scripts.loaded", scripts=len(loaded))

    async def keep(self) -> None:
        """Run until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except ServerError as error:
                _log.debug("server.away", component="scripts", error=str(error))  # whoever works says so
