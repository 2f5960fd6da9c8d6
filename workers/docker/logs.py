"""Follows the log of one container in a thread: lines to the run's log, frames of a relay to whoever serves it.

The thread hands on what it reads at once and keeps nothing but the part of a line: a container that writes a gigabyte
costs no memory here. When the stream is cut it goes on where it was.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import marks
from .faults import DaemonAway, Refused
from .output import STDERR, STDOUT, Cursor, Frames, Lines, timed

if TYPE_CHECKING:
    from .client import Connection, Stream

_RETRY_SECONDS = 0.3
Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Hearing:
    """Who hears, in the reader's thread: `say` lines (level, text), `hear` the words of frames, None without a relay.

    `again` is called when the stream was cut and is open once more. After an adoption, what was written up to
    `quiet_until` is not said again, and asks up to `asks_from` are left out: the relay repeats those that are open. The
    end is always told.
    """

    say: Say | None
    hear: Callable[[list[Any]], None] | None = None
    quiet_until: bytes = b""
    again: Callable[[], None] | None = None
    asks_from: bytes = b""

    def is_wanted(self, words: list[Any], at: bytes) -> bool:
        """Whether a frame that was written then is told."""
        if words[0] == "end":
            return True
        return at >= (self.asks_from if words[0] == "ask" else self.quiet_until)


class LogReader(threading.Thread):
    """Reads until the container has ended and all that it wrote was handed on. `ended` is set then."""

    def __init__(self, client: "Connection", container: str, hearing: Hearing) -> None:
        super().__init__(name="sluice-docker-log", daemon=True)
        self._client, self._container, self._hearing = client, container, hearing
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._stream: Stream | None = None
        self._cursor = Cursor(b"" if hearing.hear else hearing.quiet_until)
        self._lines = {STDOUT: Lines(), STDERR: Lines()}
        self._said: list[str] = []
        self._level = "info"
        self._opened = False
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def stop(self) -> None:
        """End soon, wherever it is."""
        self._stopped.set()
        if self._stream:
            self._stream.close()

    def run(self) -> None:
        """Read until the end."""
        try:
            while not self._stopped.is_set():
                if self._read_once():
                    break
                self._stopped.wait(_RETRY_SECONDS)
            for number, lines in self._lines.items():
                for line, is_whole in lines.end():
                    self._take(number, line, is_whole=is_whole, at=self._cursor.at)
            self._hand_on()
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._tell_end)

    def _tell_end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _read_once(self) -> bool:
        """Read the stream as long as it lasts; whether that was all there will ever be."""
        from .client import translated  # noqa: PLC0415 - see daemon.py

        was_over = False
        try:
            state = translated(lambda: self._client.inspect_container(self._container))["State"]
            was_over = not state["Running"]
            self._cursor.again()
            stream = self._stream = translated(lambda: self._client.log_stream(self._container, self._cursor.since))
        except DaemonAway:
            return False
        except Refused as error:
            return error.is_missing or was_over
        if self._stopped.is_set():
            stream.close()
        elif self._opened and not was_over and self._hearing.again:
            self._hearing.again()
        self._opened = True
        frames = Frames()
        for data in stream:
            for number, part in frames.feed(data):
                self._part(number, part)
            self._hand_on()
        return was_over and not stream.was_cut

    def _part(self, number: int, part: bytes) -> None:
        at, text = timed(part)
        if number in self._lines and self._cursor.is_new(at):
            for line, is_whole in self._lines[number].feed(text):
                self._take(number, line, is_whole=is_whole, at=at)

    def _take(self, number: int, line: bytes, *, is_whole: bool, at: bytes) -> None:
        if self._hearing.hear and number == STDOUT and is_whole:
            words = marks.words_of(line)
            if words is not None:
                if self._hearing.is_wanted(words, at):
                    self._hand_on()
                    self._hearing.hear(words)
                return
            line = marks.unescaped(line)
        if self._hearing.say and at >= self._hearing.quiet_until:
            level = "error" if number == STDERR else "info"
            if level != self._level:
                self._hand_on()
                self._level = level
            self._said.append(line.decode(errors="replace"))

    def _hand_on(self) -> None:
        """Many lines at a time: a call costs more than a line."""
        if self._said and self._hearing.say:
            self._hearing.say(self._level, "\n".join(self._said))
            self._said.clear()
