"""The Docker daemon as the loop sees it: calls in a few threads, and whether it answers."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from dispatcher.clock import Clock
from dispatcher.log import get_logger

from .events import Events
from .faults import DaemonAway, Refused
from .output import ms_of

if TYPE_CHECKING:
    from .client import Connection

T = TypeVar("T")
_CALLS, _PULLS = 8, 4
"""Threads: a call takes milliseconds, a pull minutes."""
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 2.0
_PING_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 15.0
"""Rings say when to look; this is the net below them."""
_log = get_logger("worker")


class Daemon:
    """Calls of one daemon. `absences` counts how often it went away; `is_up` tells whether it answers now."""

    def __init__(self, address: str | None, clock: Clock) -> None:
        self._address, self._clock = address, clock
        self._calls = ThreadPoolExecutor(_CALLS, "sluice-docker")
        self._pulls = asyncio.Semaphore(_PULLS)
        self._client: Connection | None = None
        self._events: Events | None = None
        self._pinging: asyncio.Task[None] | None = None
        self.is_up = False
        self.absences = 0
        self.id = ""

    @property
    def client(self) -> "Connection":
        """The connection, for threads of their own."""
        if self._client is None:
            raise DaemonAway("it is not connected")
        return self._client

    async def open(self) -> None:
        """Connect, and listen to its events. Raises DaemonAway, Refused."""
        loop = asyncio.get_running_loop()
        client = await loop.run_in_executor(self._calls, _connected, self._address)
        self._client = client
        self.id = str((await self.call(lambda client: client.info()))["ID"])
        self._events = Events(client, loop, self._found)
        self._events.start()
        self._pinging = loop.create_task(self._ping())

    async def close(self) -> None:
        """Let go of it."""
        if self._pinging:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)
        if self._events:
            await asyncio.to_thread(self._events.stop)
        await asyncio.to_thread(self._calls.shutdown)
        if self._client:
            self._client.close()

    async def call(self, what: "Callable[[Connection], T]") -> T:
        """Make a call. Raises DaemonAway, Refused.

        A call that was begun is waited for, also when the caller is cancelled: only then is certain what it did.
        """
        work = asyncio.get_running_loop().run_in_executor(self._calls, _translated, self.client, what)
        return await self._noticed(to_its_end(work))

    async def pull(self, what: "Callable[[Connection], None]") -> None:
        """Make a call that may take minutes, in a thread that nobody waits for at the end. Raises as `call`."""
        async with self._pulls:
            await self._noticed(_in_thread(lambda: _translated(self.client, what)))

    async def _noticed(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            answer = await call
        except DaemonAway:
            self._found(False)
            raise
        except Refused:
            self._found(True)
            raise
        self._found(True)
        return answer

    async def until_it_answers(self, what: "Callable[[Connection], T]") -> T:
        """Make a call, again and again while the daemon is away. Raises Refused. The call has to be repeatable."""
        delay = _FIRST_DELAY
        while True:
            try:
                return await self.call(what)
            except DaemonAway:
                await self._clock.sleep(delay)
                delay = min(_LONGEST_DELAY, 2 * delay)

    async def takes_connections(self) -> bool:
        """Whether a new connection is served. A daemon that is being stopped serves only those that it has."""
        try:
            greeted = await asyncio.get_running_loop().run_in_executor(self._calls, _connected, self._address)
        except (DaemonAway, Refused):
            self._found(False)
            return False
        greeted.close()
        return True

    async def pause(self, seconds: float) -> None:
        """Wait a little before another try."""
        await self._clock.sleep(seconds)

    async def now_ms(self) -> int:
        """The time there: instants of containers are by its clock. Waits while the daemon is away."""
        return ms_of(str((await self.until_it_answers(lambda client: client.info()))["SystemTime"]))

    async def inspect(self, container: str) -> dict[str, Any] | None:
        """All that the daemon knows of a container, None when it is gone; waits while the daemon is away."""
        try:
            return dict(await self.until_it_answers(lambda client: client.inspect_container(container)))
        except Refused as error:
            if error.is_missing:
                return None
            raise

    async def until_it_ended(self, container: str) -> dict[str, Any] | None:
        """Wait until a container does not run; what the daemon knows of it then, None when it is gone."""
        assert self._events is not None  # noqa: S101 - opened before anything runs
        with self._events.rings_for(container) as ring:
            while True:
                ring.clear()
                found = await self.inspect(container)
                if found is None or not (found["State"]["Running"] or found["State"]["Status"] == "restarting"):
                    return found
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                        await ring.wait()

    async def _ping(self) -> None:
        """Notice that it is away also while nothing is asked of it."""
        while True:
            await self._clock.sleep(_PING_SECONDS)
            with contextlib.suppress(DaemonAway, Refused):
                await self.call(lambda client: client.answers())

    def _found(self, up: bool) -> None:  # noqa: FBT001 - a callback of one word
        if self.is_up and not up:
            self.absences += 1
            _log.warning("docker.away", next="runs wait for it, their slots are held")
        elif up and self.absences and not self.is_up:
            _log.info("docker.back")
        self.is_up = up


async def to_its_end(work: "asyncio.Future[T]") -> T:
    """Its answer. Cancelled, wait for it all the same, then be cancelled."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError, DaemonAway, Refused):
                await asyncio.shield(work)
        if not work.cancelled():
            work.exception()
        raise


async def _in_thread(call: Callable[[], None]) -> None:
    """Call it in a thread of its own, which does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: Exception | None) -> None:
        if not done.done():
            done.set_exception(error) if error else done.set_result(None)

    def work() -> None:
        found: Exception | None = None
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            found = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=work, name="sluice-docker-pull", daemon=True).start()
    await done


def _connected(address: str | None) -> "Connection":
    from .client import connect  # noqa: PLC0415 - the SDK takes a while to import, in a thread

    return connect(address)


def _translated(client: "Connection", what: "Callable[[Connection], T]") -> T:
    from .client import translated  # noqa: PLC0415 - see _connected

    return translated(lambda: what(client))
