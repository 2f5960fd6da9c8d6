"""The docker worker: a run is a container. The daemon keeps it, so it outlives its worker and another one goes on.

Who decides: Redis whose claim it is, the daemon whether the container runs. The container's name is made of the claim,
so that there is never a second one; its labels say all that a worker which never heard of it has to know.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dispatcher import codec
from dispatcher.clock import Clock, SystemClock
from dispatcher.errors import InvalidInput, ServerError
from dispatcher.log import get_logger
from dispatcher.models import HandOff, RunSpec

from ..attachment import Claims, Configurator
from ..contract import CannotStart, Outcome, WorkerType
from ..outcomes import failure
from ..services import RunServices
from .attendance import Adopted, Attendance, Watched
from .bodies import Plan, bad
from .configuration import DockerConfiguration
from .containers import Containers
from .daemon import Daemon
from .faults import DaemonAway, Refused
from .labels import RUN_ID, Manner, Place, labels_of
from .output import ms_of

AWAY_SECONDS = 30.0
"""How long a run that is to start waits for the daemon; then it goes back, another worker may have one that answers."""
SWEEP_SECONDS = 60.0
_AGAIN_SECONDS = 0.5
_RETURNED = Outcome("return")
T = TypeVar("T")
_log = get_logger("worker")
Claim = tuple[str, str]


class DockerWorker(WorkerType):
    """Executes commands, scripts and entrypoints in containers. `address` is the daemon's, DOCKER_HOST's if None."""

    type = "docker"
    configuration = DockerConfiguration
    prefetch_seconds = 30.0

    def __init__(self, address: str | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._daemon = Daemon(address, self._clock)
        self._containers = Containers(self._daemon)
        self._ready: dict[Claim, Plan] = {}
        self._attended: dict[Claim, Attendance] = {}
        self._ended: dict[Claim, str] = {}
        self._installation: str | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._is_attached = asyncio.Event()

    async def open(self) -> None:
        """Connect to the daemon. Raises InvalidInput where none answers."""
        try:
            await self._daemon.open()
        except (DaemonAway, Refused) as error:
            text = f"no Docker daemon answers: {error}; start it, or say where it is with DOCKER_HOST"
            raise InvalidInput(text) from error
        self.site = self._daemon.id
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def close(self) -> None:
        """Let go of the daemon. What still runs goes on."""
        if self._sweeping:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        for attendance in list(self._attended.values()):
            await attendance.close()
        await self._containers.close()
        await self._daemon.close()

    def attach(
        self,
        services: Callable[[HandOff], RunServices],
        configure: Configurator | None = None,
        claims: Claims | None = None,
    ) -> None:
        """As every type; besides, what was left behind on this daemon is looked for."""
        super().attach(services, configure, claims)
        self._installation = None
        self._ended.clear()  # what a session before could not tell: a sweep finds it
        self._is_attached.set()

    def is_well(self) -> bool:
        """Whether the daemon answers."""
        return self._daemon.is_up

    async def prepare(self, run: HandOff) -> None:
        """Its image, and its container, not started."""
        self._ready[run.id, run.token] = await self._made_ready(run)

    async def start(self, run: HandOff) -> str:
        """Start its container: the daemon's id and the container's. Raises CannotStart."""
        plan = self._ready.pop((run.id, run.token), None) or await self._made_ready(run)
        try:
            container = await self._in_time(lambda: self._containers.start(plan))
            await self._attend(Watched(run, plan.spec, container, plan.manner))
        except BaseException:
            await self._leave(run)
            await self._containers.discard(plan)
            raise
        self._containers.keep(plan)
        return f"{self._daemon.id}/{container}"

    async def _made_ready(self, run: HandOff) -> Plan:
        """Read what it says, bring its image, create its container. Raises CannotStart."""
        plan = await self._plan(run)
        await self._in_time(lambda: self._containers.bring(plan))
        try:
            await self._in_time(lambda: self._containers.create(plan))
        except BaseException:
            await self._containers.discard(plan)
            raise
        return plan

    async def _plan(self, run: HandOff) -> Plan:
        """Read and check what the run says. Raises CannotStart."""
        spec = _spec(run)
        configuration = await self.configured(run, spec)
        if not isinstance(configuration, DockerConfiguration):
            raise TypeError(f"a container cannot be configured by {type(configuration).__name__}")
        deadline = None
        if spec.timeout is not None:
            deadline = max(self._clock.now_ms(), spec.at or 0) + round(1000 * spec.timeout)
        place = Place(
            self.services(run).pool, await self._known_installation(), f"{socket.gethostname()}:{os.getpid()}"
        )
        return Plan(run, spec, codec.retry_row(spec.retry), configuration, place, deadline)

    async def _in_time(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a repeatable call, also when the daemon is away for a while; then CannotStart, the run goes back."""
        until = self._clock.monotonic() + AWAY_SECONDS
        while True:
            try:
                return await call()
            except DaemonAway:
                if self._clock.monotonic() > until:
                    raise CannotStart(_RETURNED) from None
                await self._clock.sleep(_AGAIN_SECONDS)

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        """Wait for its end; past its timeout, end it. The timeout is counted from when the container started."""
        attendance = self._attended.get((run.id, run.token)) or await self._attend(
            await self._known(run, infrastructure)
        )
        watched = attendance.watched
        try:
            async with asyncio.timeout(await self._time_left(watched)):
                found = await attendance.end()
        except TimeoutError:
            await self._end(attendance, self.cancel_grace)
            text = f"ran longer than its {watched.spec.timeout:g} s"
            outcome = failure(watched.retry, run.attempt, "timed_out", text)
        else:
            outcome = await attendance.outcome(found)
        await self._leave(run)
        if watched.manner.auto_remove:
            self._ended[run.id, run.token] = watched.container
        return outcome

    async def forget(self, run: HandOff) -> None:
        """Its end is in Redis: the container, which knew it until now, may go."""
        if container := self._ended.pop((run.id, run.token), None):
            await self._containers.orphans.remove_all([container])

    async def _time_left(self, watched: Watched) -> float | None:
        """Seconds until its timeout; None without one, and for a container that has ended: it was in time."""
        if watched.spec.timeout is None:
            return None
        found = await self._daemon.inspect(watched.container)
        if not found or not found["State"]["Running"]:
            return None
        passed = (await self._daemon.now_ms() - ms_of(found["State"]["StartedAt"])) / 1000
        return watched.spec.timeout - max(0.0, passed)

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:
        """Ask its container to end, kill it after the grace, remove it. Whoever started it: the id is enough."""
        if plan := self._ready.pop((run.id, run.token), None):
            await self._containers.discard(plan)
        attendance = self._attended.get((run.id, run.token))
        container = attendance.watched.container if attendance else self._container_of(infrastructure)
        if not container:
            return
        if attendance:
            manner = attendance.watched.manner
            await self._end(attendance, grace)
            await self._leave(run)
        else:
            found = await self._daemon.inspect(container)
            manner = Manner.of(found) if found else Manner()
            own = manner.grace_seconds
            await self._containers.end(container, grace if own is None else own)
        if manner.auto_remove:
            await self._containers.orphans.remove_all([container])

    async def _end(self, attendance: Attendance, grace: float) -> None:
        """End the container, and hear all that it says until then."""
        own = attendance.watched.manner.grace_seconds
        if attendance.relay:
            await attendance.relay.cancel()
        await self._containers.end(attendance.watched.container, grace if own is None else own)
        await attendance.drain()

    async def adopt(self, run: HandOff, infrastructure: str) -> bool:
        """Whether its container is here; from now on it is watched as if it had been started here."""
        container = self._container_of(infrastructure)
        found = await self._daemon.inspect(container) if container else None
        if not found or labels_of(found).get(RUN_ID) != run.id or found["State"]["Status"] == "created":
            return False
        await self._leave(run)
        watched = Watched(run, _spec(run), container, Manner.of(found))
        await self._attend(watched, await self._adopted(run))
        return True

    async def _adopted(self, run: HandOff) -> Adopted:
        """From when on it is heard. The run's log has times of workers' clocks."""
        while True:
            try:
                until = await self._claims.logged_until(run.id) if self._claims else 0
            except ServerError:
                await self._clock.sleep(_AGAIN_SECONDS)
            else:
                before = self._clock.now_ms()
                now_ms = await self._daemon.now_ms()
                # It was asked in between: where that explains the difference, it is one clock, and exact.
                ahead = min(now_ms - before, max(now_ms - self._clock.now_ms(), 0))
                return Adopted(until + ahead + 1 if until else 0, now_ms)

    async def release(self, run: HandOff) -> None:
        """Watch it no more, and leave it running: another worker goes on with it."""
        self._ready.pop((run.id, run.token), None)
        await self._leave(run)

    async def _known(self, run: HandOff, infrastructure: str) -> Watched:
        """A container that nobody here has started or adopted."""
        container = self._container_of(infrastructure)
        found = await self._daemon.inspect(container) if container else None
        return Watched(run, _spec(run), container, Manner.of(found) if found else Manner())

    async def _attend(self, watched: Watched, adopted: Adopted | None = None) -> Attendance:
        run = watched.run
        attendance = Attendance(self._daemon, watched, self.services(run), adopted)
        self._attended[run.id, run.token] = attendance
        await attendance.begin()
        return attendance

    async def _leave(self, run: HandOff) -> None:
        """Watch it no more."""
        if attendance := self._attended.pop((run.id, run.token), None):
            await attendance.close()

    def _container_of(self, infrastructure: str) -> str:
        """The container of an infrastructure id; empty for one of another daemon."""
        daemon, _, container = infrastructure.rpartition("/")
        return container if daemon == self._daemon.id else ""

    async def _known_installation(self) -> str:
        """What tells our containers from those of another installation with a pool of this name."""
        while self._installation is None:
            try:
                self._installation = await self._claims.installation() if self._claims else ""
            except ServerError:
                await self._clock.sleep(_AGAIN_SECONDS)
        return self._installation

    async def _sweep(self) -> None:
        """Once a minute, end the containers of claims that are nobody's: of runs that are over, or were fenced."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._is_attached.wait()
            self._is_attached.clear()
            if self._claims is None:
                continue
            try:
                await self._containers.orphans.sweep(await self._known_installation(), self._claims)
            except (DaemonAway, Refused, ServerError) as error:
                _log.warning("containers.unswept", error=str(error), retry_in=SWEEP_SECONDS)


def _spec(run: HandOff) -> RunSpec:
    """Read what the run says. Raises CannotStart."""
    try:
        spec = codec.decode_spec(run.spec)
    except (InvalidInput, TypeError, ValueError) as error:
        raise bad(str(error)) from error
    if spec.command is None and spec.entrypoint is None:
        raise bad(f"a docker worker executes a command or an entrypoint; this run names the function {spec.function!r}")
    if spec.pull:
        raise bad("pull steps are not done for containers: put the code into the image, or clone it in the command")
    return spec
