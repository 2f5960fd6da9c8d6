"""One container while it is watched: its log, its relay, its end. All it needs is in the run and the labels."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from dispatcher import codec, tracing
from dispatcher.models import HandOff, RunSpec

from ..contract import Outcome
from ..services import RunServices
from .ends import lost, outcome_of, relay_outcome, signal_name
from .faults import Refused
from .labels import Manner
from .logs import Hearing, LogReader
from .output import instant_of
from .relay_line import RelayLine

if TYPE_CHECKING:
    from .daemon import Daemon

_TAIL_LINES = 20
_FAREWELL_SECONDS = 2.0


@dataclass(frozen=True)
class Watched:
    """What is watched: a claim, its container, what its labels say."""

    run: HandOff
    spec: RunSpec
    container: str
    manner: Manner

    @property
    def retry(self) -> list[Any] | None:
        """The row of its retry policy."""
        return codec.retry_row(self.spec.retry)


class Adopted(NamedTuple):
    """By the daemon's clock: up to when what it wrote is in the run's log, and when it was taken over."""

    logged_ms: int
    at_ms: int


class Attendance:
    """`begin`, then `end` as often as wanted, then `close`.

    `adopted` says from when on it is heard; None where it was started here.
    """

    def __init__(
        self, daemon: "Daemon", watched: Watched, services: RunServices, adopted: Adopted | None = None
    ) -> None:
        self.watched, self._daemon, self._services = watched, daemon, services
        self._absences = daemon.absences
        self.is_stopped = False
        self.relay: RelayLine | None = None
        if watched.spec.entrypoint is not None:
            self.relay = RelayLine(daemon, watched.container, services, self._facts())
        self._reader: LogReader | None = None
        say = partial(services.tell, "log") if watched.manner.stream_output else None
        if say or self.relay:
            self._reader = LogReader(daemon.client, watched.container, self._hearing(say, adopted))
        if adopted and say:
            say("warning", "another worker goes on with this container")

    def _hearing(self, say: Callable[[str, str], None] | None, adopted: Adopted | None) -> Hearing:
        quiet, asks = (instant_of(adopted.logged_ms), instant_of(adopted.at_ms)) if adopted else (b"", b"")
        if self.relay is None:
            return Hearing(say, quiet_until=quiet)
        return Hearing(say, self.relay.hear, quiet, self.relay.begin_again, asks)

    def _facts(self) -> dict[str, Any]:
        """What an entrypoint's process is told first, see bootstrap.py."""
        run, spec = self.watched.run, self.watched.spec
        return {
            "entrypoint": spec.entrypoint, "folder": "", "run_id": run.id, "pool": self._services.pool,
            "token": int(run.token or 0), "attempt": run.attempt, "parameters": spec.parameters,
            "deadline_ms": self.watched.manner.deadline_ms, "retry": self.watched.retry,
            "traceparent": tracing.here(spec.traceparent),
        }  # fmt: skip

    async def begin(self) -> None:
        """Follow its log and, if it has a relay, tell it what to do; the container runs already."""
        if self._reader:
            self._reader.start()
        if self.relay:
            await self.relay.begin()

    async def end(self) -> dict[str, Any] | None:
        """Wait until it does not run; what the daemon knows of it then, None when it is gone."""
        return await self._daemon.until_it_ended(self.watched.container)

    async def drain(self) -> None:
        """It does not run any more: wait until all that it wrote is read. The end of its code may be in there."""
        if self._reader:
            await asyncio.shield(self._reader.ended)

    async def outcome(self, found: dict[str, Any] | None) -> Outcome:
        """How its claim ends by itself, once it does not run any more."""
        await self.drain()
        if found is None:
            return lost("its container is gone: somebody removed it")
        state, run = {**found["State"], "MemoryLimit": found["HostConfig"]["Memory"]}, self.watched.run
        told = self.relay.told if self.relay else None
        name = signal_name(int(state["ExitCode"]))
        tail = "" if state["ExitCode"] == 0 else await self._tail()
        if name and told is None and not state.get("OOMKilled") and await self._was_daemon_away():
            return lost(f"its container was ended by {name} while the Docker daemon was away")
        if self.relay:
            return relay_outcome(state, told, self.watched.retry, run.attempt, tail)
        return outcome_of(state, self.watched.retry, run.attempt, tail)

    async def _was_daemon_away(self) -> bool:
        """Whether the daemon went while this was watched, or is going: then it took its containers along."""
        return not await self._daemon.takes_connections() or self._daemon.absences > self._absences

    async def _tail(self) -> str:
        """The last of what it wrote to stderr; nothing where that cannot be had."""
        container = self.watched.container
        try:
            found = await self._daemon.until_it_answers(lambda client: client.error_tail(container, _TAIL_LINES))
        except Refused:
            return ""
        return found.decode(errors="replace").rstrip("\n")

    async def close(self) -> None:
        """Follow it no more. It goes on if it still runs."""
        if self._reader:
            self._reader.stop()
            await asyncio.wait([self._reader.ended], timeout=_FAREWELL_SECONDS)
        if self.relay:
            await self.relay.close()
