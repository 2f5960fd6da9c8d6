"""The worker's end of a run's line (line.py): hands on what the process says, answers what it asks."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from dispatcher import codec
from dispatcher.errors import InvalidInput, PayloadTooLarge
from dispatcher.log import get_logger

from .contract import Outcome
from .line import FRAME_LIMIT, HEAD, frame, refusal
from .outcomes import error_result
from .services import RunServices

_log = get_logger("worker")
_LAST_SECONDS = 2.0
_OUTCOMES = frozenset({"completed", "failed", "retry"})


class Answers:
    """Hands on what a run's code says and answers what it asks, whatever way its words come.

    `write` takes a packed answer. `told` is the outcome it told, None until then. On the loop.
    """

    def __init__(self, services: RunServices, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._services, self._write = services, write
        self._asks: dict[int, asyncio.Task[None]] = {}
        self.told: Outcome | None = None

    def hear(self, words: Sequence[Any]) -> None:
        """Take its words. Raises InvalidInput, ValueError, TypeError, LookupError for what cannot be read."""
        word, *rest = words
        if word == "tell":
            self._services.tell(*rest)
        elif word == "ask":
            self._ask(*rest)
        elif word == "end":
            outcome, argument, result = rest
            if outcome not in _OUTCOMES:
                raise InvalidInput(f"{outcome!r} is no end of a process")
            self.told = Outcome(str(outcome), str(argument), bytes(result))

    def refuse(self, error: Exception) -> None:
        """What it said cannot be read: its code wrote where only we speak."""
        self.told = Outcome("failed", "bad_result", error_result(f"what it said cannot be read: {error}"))

    async def close(self) -> None:
        """Answer nothing any more."""
        asks = list(self._asks.values())
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)

    def _ask(self, number: int, verb: str, *words: Any) -> None:
        """Answer it, once: it is asked again where nobody knows whether it was heard."""
        if number not in self._asks:
            answering = asyncio.get_running_loop().create_task(self._answer(number, verb, *words))
            self._asks[number] = answering
            answering.add_done_callback(lambda _: self._asks.pop(number, None))

    async def _answer(self, number: int, verb: str, *words: Any) -> None:
        try:
            answer = frame(["answer", number, await self._services.ask(verb, *words)])
        except Exception as error:  # noqa: BLE001 - whatever it was, the code that asked is to know
            answer = refusal(number, error)
        await self._write(answer)


class LineService:
    """Serves one process. `told` is the outcome it told, None until then."""

    def __init__(self, connection: socket.socket, services: RunServices) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._writer: asyncio.StreamWriter | None = None
        self._answers = Answers(services, self._write)
        self._task: asyncio.Task[None] | None = None

    @property
    def told(self) -> Outcome | None:
        """The outcome it told."""
        return self._answers.told

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Tell the process what it is to do, and listen to it."""
        self._task = self._loop.create_task(self._serve(frame(["run", facts])))

    def cancel(self) -> None:
        """Tell it that it is asked to end."""
        if self._writer:
            self._writer.write(frame(["cancel"]))

    async def read_to_the_end(self) -> None:
        """Its processes are gone: read what they had said."""
        if self._task:
            await asyncio.wait([self._task], timeout=_LAST_SECONDS)

    async def close(self) -> None:
        """End all that goes on for it."""
        await self._answers.close()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._writer:
            self._writer.close()

    async def _serve(self, first: bytes) -> None:
        reader, self._writer = await asyncio.open_connection(sock=self._connection.dup(), limit=FRAME_LIMIT)
        self._writer.write(first)
        try:
            while True:
                (size,) = HEAD.unpack(await reader.readexactly(HEAD.size))
                if size > FRAME_LIMIT:
                    raise PayloadTooLarge(size, codec.HARD_LIMIT)
                self._answers.hear(codec.unpack(await reader.readexactly(size), FRAME_LIMIT))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except (InvalidInput, ValueError, TypeError, LookupError) as error:  # no line of ours: its code wrote to it
            self._answers.refuse(error)

    async def _write(self, answer: bytes) -> None:
        if self._writer:
            self._writer.write(answer)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
