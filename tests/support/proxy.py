"""A proxy between a client and Redis that loses, delays and cuts on request."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from .framing import Splitter

_CHUNK = 65_536


@dataclass(eq=False)
class Fault:
    """One armed loss: the `nth` command from now whose bytes contain `containing` loses its reply or itself.

    `happened` is set, for any thread, when it has struck; the connection is cut in the same moment.
    """

    lost: Literal["reply", "command"]
    containing: bytes
    nth: int = 1
    happened: threading.Event = field(default_factory=threading.Event)

    def hits(self, command: bytes) -> bool:
        """Count a matching command; tell whether it is the one."""
        if self.containing in command:
            self.nth -= 1
            return self.nth == 0
        return False


class FaultProxy:
    """Listens on `url` and passes everything to `upstream` (a redis:// or unix:// address) until told otherwise.

    - `lose_reply(b"X")`: the server executes the command, its reply never arrives, the connection is cut.
    - `lose_command(b"X")`: the server never sees the command, the connection is cut.
    - `delay`: seconds that every chunk of replies is held back.
    - `black_hole()`: connections are accepted and stay open, nothing passes in either direction.
    - `refuse()`: all connections are cut, new ones end at once.
    - `cut()`: all connections end; new ones are served.
    - `restore()`: everything passes again. What a black hole held back arrives now, as after a healed partition.

    Earlier replies of a pipeline still arrive before the cut. Matching sees whole commands as sent: names, keys,
    arguments, and what a client sends by itself (redis-py greets with CLIENT SETINFO, which b"SET" would hit; use
    b"$3\\r\\nSET\\r\\n"). CLIENT REPLY and RESP2 subscriptions are outside its grasp. Runs in the event loop of
    `start` (or of `async with`); the other methods act at once and may be called from any thread.
    """

    def __init__(self, upstream: str) -> None:
        self.delay = 0.0
        self.port = 0
        self.accepted = self.refused = 0
        self._upstream = urlsplit(upstream)
        self._faults: list[Fault] = []
        self._links: set[_Link] = set()
        self._refusing = False

    @property
    def url(self) -> str:
        """The address for the client under test, the database of the upstream included."""
        database = self._upstream.path.lstrip("/") if self._upstream.scheme == "redis" else ""
        return f"redis://127.0.0.1:{self.port}/{database or 0}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def lose_reply(self, containing: bytes, nth: int = 1) -> Fault:
        """Arm the loss of a reply."""
        return self._arm(Fault("reply", containing, nth))

    def lose_command(self, containing: bytes, nth: int = 1) -> Fault:
        """Arm the loss of a command."""
        return self._arm(Fault("command", containing, nth))

    def black_hole(self) -> None:
        """Let nothing through."""
        self._in_loop(self._flowing.clear)

    def refuse(self) -> None:
        """Cut everything and let nobody in."""
        self._refusing = True
        self.cut()

    def cut(self) -> None:
        """End all connections."""
        self._in_loop(self._cut)

    def restore(self) -> None:
        """End delay, black hole, refusal and all armed faults."""
        self.delay, self._refusing = 0.0, False
        self._faults.clear()
        self._in_loop(self._flowing.set)

    async def start(self) -> Self:
        """Listen on a free port."""
        self._loop = asyncio.get_running_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Cut everything and stop listening."""
        self._refusing = True
        self._server.close()
        links = list(self._links)
        self._cut()
        await asyncio.gather(*(link.done.wait() for link in links))
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _arm(self, fault: Fault) -> Fault:
        self._in_loop(lambda: self._faults.append(fault))
        return fault

    def _cut(self) -> None:
        for link in list(self._links):
            link.cut()

    def _in_loop(self, act: Callable[[], None]) -> None:
        """Do it in the proxy's loop, and return when it is done."""
        with contextlib.suppress(RuntimeError):  # no loop runs in this thread
            if asyncio.get_running_loop() is self._loop:
                act()
                return

        async def acting() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acting(), self._loop).result(10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.refused += 1
            writer.transport.abort()
            return
        self.accepted += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._upstream.scheme == "unix":
            return await asyncio.open_unix_connection(unquote(self._upstream.path))
        return await asyncio.open_connection(self._upstream.hostname, self._upstream.port)

    def _strike(self, command: bytes) -> Fault | None:
        """Return the fault that this command meets, and disarm it."""
        hits = [fault for fault in self._faults if fault.hits(command)]
        for fault in hits:
            self._faults.remove(fault)
        return hits[0] if hits else None


class _Link:
    """One connection of a client and its twin to the server."""

    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.done = asyncio.Event()
        self._proxy, self._reader, self._client = proxy, reader, writer
        self._server: asyncio.StreamWriter | None = None
        self._waiting: deque[Fault | None] = deque()  # one for each command that has no reply yet
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Pass data both ways until one side ends or a fault strikes."""
        try:
            self._client.transport.set_write_buffer_limits(0)  # drained means sent: a cut loses no earlier reply
            await self._proxy._flowing.wait()
            replies, self._server = await self._proxy._connect()
            self._tasks = [asyncio.ensure_future(self._commands()), asyncio.ensure_future(self._replies(replies))]
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # no upstream: the client sees its connection end
        finally:
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.done.set()

    def cut(self) -> None:
        """End both sides."""
        for writer in (self._client, self._server):
            if writer is not None:
                writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    async def _commands(self) -> None:
        splitter = Splitter()
        while data := await self._reader.read(_CHUNK):
            await self._proxy._flowing.wait()
            for command in splitter.feed(data):
                fault = self._proxy._strike(command)
                if fault is not None and fault.lost == "command":
                    fault.happened.set()
                    return
                self._waiting.append(fault)
                await _write(self._server, command)

    async def _replies(self, reader: asyncio.StreamReader) -> None:
        splitter = Splitter()
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(self._proxy.delay)
            await self._proxy._flowing.wait()
            for reply in splitter.feed(data):
                pushed = reply.startswith(b">")  # RESP3: nobody asked for it
                fault = None if pushed or not self._waiting else self._waiting.popleft()
                if fault is not None:
                    fault.happened.set()
                    return
                await _write(self._client, reply)


async def _write(writer: asyncio.StreamWriter | None, data: bytes) -> None:
    if writer is not None:
        writer.write(data)
        await writer.drain()


class ThreadedFaultProxy(FaultProxy):
    """The same in a thread of its own, for subprocesses and for tests without an event loop: a sync context manager."""

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve(started)], name="fault-proxy")
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._in_loop(self._leave.set)
        self._thread.join()

    async def _serve(self, started: threading.Event) -> None:
        self._leave = asyncio.Event()
        async with self:
            started.set()
            await self._leave.wait()
