"""The worker's end of the line to a relay in a container: its frames come by the log, ours go by the container's stdin.

Every connection begins with the facts of the run. The relay takes them once; when they come again, another worker
speaks, or the connection was lost, and it repeats what it asked and nobody answered.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dispatcher.errors import InvalidInput
from dispatcher.log import get_logger

from ..contract import Outcome
from ..line import HEAD
from ..served import Answers
from ..services import RunServices
from . import marks
from .faults import DaemonAway, Refused

if TYPE_CHECKING:
    from .client import Connection, Stdin
    from .daemon import Daemon

_RETRIES, _RETRY_SECONDS = 20, 0.5
_log = get_logger("worker")


class RelayLine:
    """Serves one container."""

    def __init__(self, daemon: "Daemon", container: str, services: RunServices, facts: Mapping[str, Any]) -> None:
        self._daemon, self._container = daemon, container
        self._loop = asyncio.get_running_loop()
        self._first = b"\n" + marks.frame(["run", facts])  # an end first: a line that was cut before is none then
        self._answers = Answers(services, lambda answer: self.send(marks.marked(answer[HEAD.size :])))
        self._lock = asyncio.Lock()
        self._stdin: Stdin | None = None
        self._beginning: set[asyncio.Task[None]] = set()

    @property
    def told(self) -> Outcome | None:
        """The outcome that its code told."""
        return self._answers.told

    def hear(self, words: list[Any]) -> None:
        """Words of a frame, from the thread that reads the log."""
        self._loop.call_soon_threadsafe(self._hear, words)

    def _hear(self, words: list[Any]) -> None:
        try:
            self._answers.hear(words)
        except (InvalidInput, ValueError, TypeError, LookupError) as error:
            self._answers.refuse(error)

    async def begin(self) -> None:
        """Connect, and say what it is to do."""
        await self.send(b"")

    def begin_again(self) -> None:
        """Connections were lost, from any thread: begin anew, so that what was not heard is asked again."""
        self._loop.call_soon_threadsafe(self._begin_again)

    def _begin_again(self) -> None:
        self._drop()
        beginning = self._loop.create_task(self.begin())
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)

    async def cancel(self) -> None:
        """Tell it that it is asked to end; a signal follows."""
        await self.send(marks.frame(["cancel"]))

    async def send(self, data: bytes) -> None:
        """Write to it; over a new connection where there is none. A container that is gone hears nothing."""
        async with self._lock:
            for _ in range(_RETRIES):
                try:
                    if await self._sent(data):
                        return
                except Refused as error:
                    if error.status in (404, 409):
                        return
                    _log.warning("relay.unheard", container=self._container, error=error.text)
                except DaemonAway:
                    pass
                await self._daemon.pause(_RETRY_SECONDS)

    async def _sent(self, data: bytes) -> bool:
        """Whether it was written; a connection that fails is given up, and the next one begins anew."""
        if self._stdin is not None and self._stdin.is_cut:
            self._drop()
        if self._stdin is None:
            await self._daemon.call(self._connect)
            data = self._first + data
        try:
            await self._daemon.call(lambda _: self._write(data))
        except DaemonAway:
            self._drop()
            return False
        return True

    def _connect(self, client: "Connection") -> None:
        """In a thread: what is opened is kept, also when nobody waits for it any more."""
        self._stdin = client.stdin_of(self._container)

    def _write(self, data: bytes) -> None:
        if self._stdin is None:
            raise DaemonAway("the connection was given up")
        self._stdin.write(data)

    def _drop(self) -> None:
        if self._stdin:
            self._stdin.close()
            self._stdin = None

    async def close(self) -> None:
        """Answer nothing any more; the container's stdin stays open for others."""
        await self._answers.close()
        for beginning in self._beginning:
            beginning.cancel()
        await asyncio.gather(*self._beginning, return_exceptions=True)
        self._drop()
