"""The line between a run's process and its worker: one inherited socket, frames of 4 bytes length and msgpack.

    worker to process   ["run", facts]                    first; what the code is and may know, see bootstrap.py
                        ["answer", n, value]              to ask n
                        ["refused", n, error, text]       to ask n: the name of an error of dispatcher.errors, its text
                        ["cancel"]                        the run is asked to end; a signal follows
    process to worker   ["tell", verb, ...]               as RunServices.tell
                        ["ask", n, verb, ...]             as RunServices.ask
                        ["end", outcome, argument, result]  last; fields of an Outcome

A frame is 1 MB and a little at most. Nothing else is on the line: stdin is empty, stdout and stderr are the code's own.
"""

import socket
import struct
import threading
from concurrent.futures import Future
from typing import Any

from dispatcher import codec, errors
from dispatcher.errors import InvalidInput, PayloadTooLarge, SluiceError

FRAME_LIMIT = codec.HARD_LIMIT + 65536
HEAD = struct.Struct(">I")


def frame(words: list[Any]) -> bytes:
    """A frame. Raises InvalidInput for what cannot be packed, PayloadTooLarge."""
    packed = codec.pack(words)
    if len(packed) > FRAME_LIMIT:
        raise PayloadTooLarge(len(packed), codec.HARD_LIMIT)
    return HEAD.pack(len(packed)) + packed


def refusal(number: int, error: BaseException) -> bytes:
    """The answer to an ask that raised."""
    return frame(["refused", number, type(error).__name__, str(error)[:2_000]])


def refused(name: str, text: str) -> SluiceError:
    """The error that a refusal tells of, as it was raised in the worker."""
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, SluiceError)):
        return InvalidInput(f"{name}: {text}")
    found = kind.__new__(kind)
    Exception.__init__(found, text)
    return found


class ProcessEnd:
    """The process's end: a Backend for running.py. A thread reads what the worker says."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._asked: dict[int, Future[Any]] = {}
        self._number = 0
        self.cancelled = threading.Event()

    def first(self) -> dict[str, Any]:
        """The facts of the run; then the thread starts."""
        word, facts = self._receive()
        if word != "run":
            raise InvalidInput(f"the worker began with {word!r}")
        threading.Thread(target=self._listen, name="sluice-line", daemon=True).start()
        return dict(facts)

    def tell(self, verb: str, *words: Any) -> None:
        """Say something; lost when the worker is gone, for then this process goes too."""
        self._send(frame(["tell", verb, *words]))

    def ask(self, verb: str, *words: Any) -> "Future[Any]":
        """Ask for something."""
        future: Future[Any] = Future()
        with self._lock:
            self._number = number = self._number + 1
            self._asked[number] = future
        try:
            self._send(frame(["ask", number, verb, *words]))
        except InvalidInput as error:
            self._asked.pop(number, None)
            future.set_exception(error)
        return future

    def end(self, outcome: str, argument: str, result: bytes) -> None:
        """The last word."""
        self._send(frame(["end", outcome, argument, result]))

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._connection.sendall(data)

    def _receive(self) -> list[Any]:
        (size,) = HEAD.unpack(self._exactly(HEAD.size))
        return list(codec.unpack(self._exactly(size), FRAME_LIMIT))

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            part = self._connection.recv(min(65536, size - len(found)))
            if not part:
                raise EOFError
            found += part
        return bytes(found)

    def _listen(self) -> None:
        try:
            while True:
                word, *words = self._receive()
                if word == "cancel":
                    self.cancelled.set()
                    continue
                future = self._asked.pop(words[0], None)
                if future is None or not future.set_running_or_notify_cancel():
                    continue
                if word == "answer":
                    future.set_result(words[1])
                else:
                    future.set_exception(refused(words[1], words[2]))
        except (OSError, EOFError):
            return
