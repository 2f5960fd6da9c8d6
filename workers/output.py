"""What a process writes to stdout or stderr: taken off the pipe as it comes, so that it never waits for us."""

import asyncio
import os
from collections import deque
from collections.abc import Callable

_READ = 65536
_LONGEST = 8192
_TAIL_LINES, _TAIL_LINE = 20, 500


class Output:
    """Reads a pipe until nobody has its other end, and hands on whole lines, many at a time.

    A line longer than 8 KB goes on in pieces. The last 20 lines are kept: `tail`. `ended` is set at the end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, pipe: int, say: Callable[[str], None] | None) -> None:
        self._loop, self._pipe, self._say = loop, pipe, say
        self._rest = b""
        self._tail: deque[bytes] = deque(maxlen=_TAIL_LINES)
        self.ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(pipe, self._read)

    @property
    def tail(self) -> str:
        """The last lines, each cut to 500 bytes."""
        return b"\n".join(self._tail).decode(errors="replace")

    def close(self) -> None:
        """Read no more; what waits for a line's end is handed on."""
        if not self.ended.done():
            self._loop.remove_reader(self._pipe)
            if self._rest:
                self._hand_on(self._rest)
            self.ended.set_result(None)

    def _read(self) -> None:
        try:
            part = os.read(self._pipe, _READ)
        except BlockingIOError:
            return
        if not part:
            self.close()
            return
        whole, newline, rest = (self._rest + part).rpartition(b"\n")
        if len(rest) > _LONGEST:
            whole, newline, rest = whole + newline + rest, b"", b""
        self._rest = rest
        if whole or newline:
            self._hand_on(whole)

    def _hand_on(self, whole: bytes) -> None:
        self._tail.extend(line[:_TAIL_LINE] for line in whole.rsplit(b"\n", _TAIL_LINES)[-_TAIL_LINES:])
        if self._say:
            self._say(whole.decode(errors="replace"))
