"""The first process of a container that executes an entrypoint: `python -P -m workers.docker.inside`.

A relay between the user's code and a worker that may be replaced meanwhile. The code runs in a fork, with the line of
bootstrap.py over a socket pair, as in a process worker. What it says on that line becomes frames on our stdout, which
the daemon keeps with the container's log (marks.py); what the worker says comes as frames on our stdin. Only we write
to stdout: what the code writes there is passed on line by line.

    told by the worker     ["run", facts] first, and again by each worker that comes; ["answer" | "refused", n, ...];
                           ["cancel"]
    told to the worker     what the code says; an ask goes out again when the facts come again and nobody answered it

A child that is published gets its id here, so that asking twice publishes once. SIGTERM goes on to the code. The exit
code is the code's own; a container ends with its first process, and all that the code left behind with it.
"""

import contextlib
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from dispatcher import codec
from dispatcher.errors import InvalidInput
from dispatcher.ids import new_run_id

from ..bootstrap import run_entrypoint
from ..line import FRAME_LIMIT, HEAD
from ..line import frame as line_frame
from ..outcomes import error_result
from . import marks

_PART = 65_536
_LONGEST = 8_192
_OF_SIGNALS = 128


class Passing:
    """The code's stdout on its way to ours, in whole lines; a line above 8 KB goes on in pieces, a line each."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_cut = False

    def feed(self, data: bytes) -> bytes:
        """What can be written now."""
        *whole, rest = (self._rest + data).split(b"\n")
        done = bytearray()
        for line in whole:
            if line or not self._is_cut:
                done += marks.escaped(line) + b"\n"
            self._is_cut = False
        if len(rest) > _LONGEST:
            done += marks.escaped(rest) + b"\n"
            rest, self._is_cut = b"", True
        self._rest = rest
        return bytes(done)

    def end(self) -> bytes:
        """What waits for the end of its line."""
        rest, self._rest = self._rest, b""
        return marks.escaped(rest) + b"\n" if rest else b""


class Relay:
    """Between the code (its process, its line, its stdout) and the worker (our stdin and stdout)."""

    def __init__(self, pid: int, line: socket.socket, output: int) -> None:
        self._pid, self._line, self._output = pid, line, output
        self._passing = Passing()
        self._said = bytearray()
        self._heard = bytearray()
        self._asked: dict[int, bytes] = {}
        self._has_begun = False
        self._ways = selectors.DefaultSelector()
        self._wake, wake_write = os.pipe()
        for descriptor in (self._wake, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        for way in (0, self._output, self._line.fileno(), self._wake):
            self._ways.register(way, selectors.EVENT_READ)

    def serve(self) -> int:
        """Until the code's first process has ended; its wait status."""
        while True:
            for key, _ in self._ways.select():
                self._read(key.fd)
            status = self._ended()
            if status is not None:
                self._drain()
                return status

    def _pass_on(self, number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, number)

    def _ended(self) -> int | None:
        """Reap what is over: as the first process of a container, orphans are ours."""
        found = None
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                if pid == self._pid:
                    found = status
        return found

    def _drain(self) -> None:
        """Pass on what was said before the end; what the code left behind may hold its pipe open."""
        self._take_all(self._output)
        self._take_all(self._line.fileno())
        _write(self._passing.end())

    def _take_all(self, way: int) -> None:
        """What is there now, without waiting for more."""
        os.set_blocking(way, False)
        while way in self._ways.get_map() and self._read(way):
            pass

    def _read(self, way: int) -> bool:
        """Take what is there; False when there is nothing."""
        try:
            data = os.read(way, _PART)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if way == self._wake:
            return bool(data)
        if not data:
            with contextlib.suppress(KeyError):
                self._ways.unregister(way)
            return False
        if way == self._output:
            _write(self._passing.feed(data))
        elif way == 0:
            self._hear(data)
        else:
            self._say(data)
        return True

    def _say(self, data: bytes) -> None:
        """Frames of the code's line, to the worker."""
        self._said += data
        while len(self._said) >= HEAD.size:
            (size,) = HEAD.unpack(self._said[: HEAD.size])
            end = HEAD.size + size
            if size > FRAME_LIMIT:
                self._refuse()
                return
            if len(self._said) < end:
                return
            packed = bytes(self._said[HEAD.size : end])
            del self._said[:end]
            _write(self._marked(packed))

    def _refuse(self) -> None:
        """The code wrote where only its line's end speaks: nothing that follows can be read."""
        self._ways.unregister(self._line.fileno())
        self._said.clear()
        error = error_result("what it said cannot be read: something wrote to its line")
        _write(marks.frame(["end", "failed", "bad_result", error]))

    def _marked(self, packed: bytes) -> bytes:
        """A frame; one that asks is kept until it is answered."""
        words = _words(packed)
        if words[:1] == ["end"]:
            self._take_all(self._output)
            _write(self._passing.end())
        if words[:1] != ["ask"]:
            return marks.marked(packed)
        found = marks.frame(_repeatable(words))
        self._asked[words[1]] = found
        return found

    def _hear(self, data: bytes) -> None:
        """Frames of the worker, to the code. A line that is none was cut: its worker says it again."""
        self._heard += data
        while (end := self._heard.find(b"\n")) >= 0:
            line = bytes(self._heard[:end])
            del self._heard[: end + 1]
            words = marks.words_of(line)
            if words:
                self._take(words)

    def _take(self, words: list[Any]) -> None:
        if words[0] == "run":
            if self._has_begun:
                _write(b"".join(self._asked.values()))
                return
            self._has_begun = True
            words[1]["folder"] = str(Path.cwd())
        elif words[0] in ("answer", "refused") and self._asked.pop(words[1], None) is None:
            return
        with contextlib.suppress(OSError):  # the code has gone
            self._line.setblocking(True)
            self._line.sendall(line_frame(words))


def _words(packed: bytes) -> list[Any]:
    try:
        return list(codec.unpack(packed, FRAME_LIMIT))
    except (InvalidInput, TypeError, ValueError):
        return []


def _repeatable(words: list[Any]) -> list[Any]:
    """An ask that does the same when it is asked again: children have ids before they are published."""
    if words[2] == "publish":
        for row in words[4]:
            row[2].setdefault("run_id", new_run_id())
    return words


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _code(line: socket.socket, output: int) -> NoReturn:
    """The code's process: its own group, nothing to read, its stdout a pipe to the relay."""
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    for descriptor in (nothing, output):
        os.close(descriptor)
    os._exit(run_entrypoint(line.detach()))


def main() -> int:
    """Run the code, relay until it has ended; the exit code of the container."""
    ours, its = socket.socketpair()
    output, its_output = os.pipe()
    os.set_blocking(1, True)
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.close(output)
        _code(its, its_output)
    with contextlib.suppress(OSError):  # it has done so itself
        os.setpgid(pid, pid)
    its.close()
    os.close(its_output)
    code = os.waitstatus_to_exitcode(Relay(pid, ours, output).serve())
    return _OF_SIGNALS - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
