"""One stream of events for all containers of Sluice: it rings whoever waits for one of them.

An event is a hint to look again, never the truth: what was missed while the daemon was away is found by looking.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from .faults import DaemonAway, Refused
from .labels import RUN_ID

if TYPE_CHECKING:
    from .client import Connection, Stream

_FILTERS = {"type": "container", "label": RUN_ID, "event": ["die", "destroy"]}
_RETRY_SECONDS = 0.5
T = TypeVar("T")


class Events(threading.Thread):
    """Reads the stream, and opens it again when it ends. `found` hears, on the loop, whether it is open."""

    def __init__(self, client: "Connection", loop: asyncio.AbstractEventLoop, found: Callable[[bool], None]) -> None:
        super().__init__(name="sluice-docker-events", daemon=True)
        self._client, self._loop, self._found = client, loop, found
        self._stopped = threading.Event()
        self._stream: Stream | None = None
        self._rings: dict[str, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def rings_for(self, container: str) -> Iterator[asyncio.Event]:
        """An event that is set when something happened to a container, or may have."""
        ring = asyncio.Event()
        self._rings.setdefault(container, set()).add(ring)
        try:
            yield ring
        finally:
            self._rings[container].discard(ring)
            if not self._rings[container]:
                del self._rings[container]

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._close()
        self.join(_RETRY_SECONDS * 4)

    def run(self) -> None:
        """Read until stopped."""
        from .client import translated  # noqa: PLC0415 - see daemon.py

        while not self._stopped.is_set():
            with contextlib.suppress(DaemonAway, Refused):
                translated(self._read)
            if not self._stopped.is_set():
                self._tell(self._found, False)
                self._ring("")
            self._stopped.wait(_RETRY_SECONDS)

    def _read(self) -> None:
        stream = self._stream = self._client.event_stream(_FILTERS)
        if self._stopped.is_set():
            self._close()
        self._tell(self._found, True)
        self._ring("")
        rest = b""
        for data in stream:
            *lines, rest = (rest + data).split(b"\n")
            for line in filter(None, lines):
                self._ring(_container_of(line))

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _ring(self, container: str) -> None:
        self._tell(self._wake, container)

    def _tell(self, what: Callable[[T], None], word: T) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what, word)

    def _wake(self, container: str) -> None:
        """Wake who waits for this one; no name is for all."""
        rings = (
            self._rings.get(container, ()) if container else [ring for found in self._rings.values() for ring in found]
        )
        for ring in rings:
            ring.set()


def _container_of(line: bytes) -> str:
    """Whose event it is; '' for all, also where it cannot be read."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    return str(found.get("id", "")) if isinstance(found, dict) else ""
