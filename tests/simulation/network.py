"""The simulated network: between the processes and the server calls are late, lost, answered in vain, cut off.

A call that was sent may be executed long after its caller gave it up: that is what real connections do, too.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from random import Random
from typing import Any

from redis.exceptions import ConnectionError as Cut
from redis.exceptions import RedisError

from .loop import Loop
from .processes import CURRENT, Process
from .server import NAMES, Server

BLOCKED = object()
"""The answer of a reading that goes on waiting."""
Note = Callable[[str, str, Any], None]


@dataclass
class Weather:
    """How bad it is: shares of calls to which it happens. `slow` is the mean delay of a slow one, in seconds."""

    lost: float = 0.0
    unanswered: float = 0.0
    cut: float = 0.0
    late: float = 0.0
    slow: float = 1.0


@dataclass(eq=False)
class Waiting:
    """A reading that waits for entries."""

    streams: dict[str, str]
    count: int | None
    caller: "Call"
    until: float


@dataclass(eq=False)
class Call:
    """A call under way."""

    process: Process
    words: tuple[Any, ...]
    answer: "asyncio.Future[Any]"
    weather: Weather = field(default_factory=Weather)


class Network:
    """Brings calls to the server and answers back. `note` is told each call that is executed, and its reply."""

    def __init__(self, loop: Loop, server: Server, random: Random, note: Note) -> None:
        self._loop, self.server, self._random, self._note = loop, server, random, note
        self.weather = Weather()
        self.is_away = self.is_silent = False
        self.on_their_way = 0
        self._cut_off: dict[str, float] = {}
        self._held: list[Call] = []
        self._waiting: list[Waiting] = []
        self._context = Context()
        server.mail.woken = self._wake

    # What breaks -----------------------------------------------------------------------------------------------------

    def partition(self, process: Process, seconds: float) -> None:
        """Nothing comes through between it and the server; what was sent arrives when it is over, or never."""
        self._cut_off[process.name] = self._loop.time() + seconds
        self._later(seconds, self._release)

    def away(self, *, silent: bool) -> None:
        """The server is gone, or frozen: then calls wait for it."""
        self.is_away, self.is_silent = not silent, silent
        if not silent:
            self._cut_all()

    def back(self) -> None:
        """It is here again, with all its state."""
        self.is_away = self.is_silent = False
        self._cut_all()
        self._release()

    def heal(self) -> None:
        """No fault any more."""
        self.weather = Weather()
        self._cut_off.clear()
        self.back()

    def _cut_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._fail(each.caller)

    def _is_cut_off(self, process: Process) -> bool:
        return self._cut_off.get(process.main.name, 0) > self._loop.time()

    def _release(self) -> None:
        held, self._held = self._held, []
        for call in held:
            if self._random.random() < 0.5:
                self._send(call)

    # A call ----------------------------------------------------------------------------------------------------------

    async def call(self, *words: Any) -> Any:
        """Send it and wait for the answer, for ever when it is lost."""
        call = Call(CURRENT.get(), words, self._loop.create_future(), self.weather)
        self._send(call)
        return await call.answer

    def _send(self, call: Call) -> None:
        self.on_their_way += 1
        self._later(self._delay(), self._arrive, call)

    def _later(self, seconds: float, callback: Callable[..., None], *args: Any) -> None:
        self._loop.call_later(seconds, callback, *args, context=self._context)

    def _delay(self) -> float:
        usual = 0.0001 + self._random.random() * 0.001
        if self.weather.late and self._random.random() < self.weather.late:
            return usual + self._random.expovariate(1 / self.weather.slow)
        return usual

    def _arrive(self, call: Call) -> None:
        self.on_their_way -= 1
        if self.is_away:
            return self._fail(call)
        if self.is_silent or self._is_cut_off(call.process):
            self._held.append(call)
            return None
        chance = self._random.random()
        if chance < call.weather.lost:
            return None
        if chance < call.weather.lost + call.weather.cut:
            return self._fail(call)
        answer = self._answer(call)
        if answer is BLOCKED:
            return None
        return self._send_back(call, answer)

    def _answer(self, call: Call) -> Any:
        word, *rest = call.words
        try:
            if word == "script":
                answer = self.server.evaluate(*rest)
            elif word == "load":
                answer = self.server.load(*rest)
            elif word == "read":
                answer = self.server.read(rest[0], rest[1])
                if not answer and rest[2]:
                    return self._block(call, *rest)
            else:
                answer = [self.server.execute(command) for command in rest[0]]
        except RedisError as error:
            answer = error
        self._note(call.process.name, self._shown(call.words), answer)
        return answer

    @staticmethod
    def _shown(words: Sequence[Any]) -> str:
        """What is called with what; but for what a worker says of itself to people, its process id among it."""
        if words[0] == "load":
            return f"load {words[1][:20]!r}"
        if words[0] != "script":
            return repr(words[1])
        name = NAMES[words[1]]
        said = ["..." if isinstance(word, bytes) and b"\xa4host" in word else word for word in words[2]]
        return f"{name} {said[1:]}"

    def _send_back(self, call: Call, answer: Any) -> None:
        chance = self._random.random()
        if chance < call.weather.unanswered:
            return
        if chance < call.weather.unanswered + call.weather.cut:
            self._fail(call)
        elif self._is_cut_off(call.process):
            return
        else:
            self._later(self._delay(), self._resolve, call, answer)

    def _resolve(self, call: Call, answer: Any) -> None:
        if call.answer.done():
            return
        if isinstance(answer, Exception):
            call.answer.set_exception(answer)
        else:
            call.answer.set_result(answer)

    def _fail(self, call: Call) -> None:
        self._later(0.0005, self._resolve, call, Cut("Connection closed by server."))

    # Readings that wait ----------------------------------------------------------------------------------------------

    def _block(self, call: Call, streams: dict[str, str], count: int | None, block: int) -> object:
        waiting = Waiting(streams, count, call, self._loop.time() + block / 1000)
        self._waiting.append(waiting)
        self._later(block / 1000, self._give_up, waiting)
        return BLOCKED

    def _give_up(self, waiting: Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            self._send_back(waiting.caller, None)

    def _wake(self, key: str) -> None:
        for waiting in [each for each in self._waiting if key in each.streams]:
            self._waiting.remove(waiting)
            # The entry is written by a script that is still running: answered when that is over.
            self._later(0, self._served, waiting)

    def _served(self, waiting: Waiting) -> None:
        if self.is_away or self.is_silent:
            self._fail(waiting.caller)
            return
        answer = self.server.read(waiting.streams, waiting.count)
        self._note(waiting.caller.process.name, "read", answer)
        self._send_back(waiting.caller, answer or None)
