"""The worker's side of keeper.py: starts the processes of runs, and knows for certain when nothing of one is left."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import anyio

_KEEPER = Path(__file__).with_name("keeper.py")
_FAREWELL_SECONDS = 5.0
_IDLE_KEEPERS = 16
"""That wait for the next run; each has some 7 MB, 30 MB with the modules of entrypoints, nearly all of it shared."""
KILLED = 9
_OURS = ("SLUICE_", "TRACEPARENT", "TRACESTATE")


class StartFailed(Exception):
    """The process could not be started: errno, 0 when its keeper was killed, of `what`, folder or command."""

    def __init__(self, number: int, what: str) -> None:
        self.number, self.what = number, what
        super().__init__(f"{what}: {os.strerror(number) if number else 'its keeper ended'}")


@dataclass(frozen=True)
class Order:
    """What is started: `words` (none for an entrypoint) with exactly this environment, in this folder."""

    words: Sequence[str]
    env: dict[str, str]
    folder: str


class Child:
    """The processes of one run. `output` and `errors` are our ends of its pipes, `line` of its socket: ours to close.

    `gone` is set with the wait status once nothing of the run is left, whoever waits for it. A keeper that is killed
    takes everything below it along: that counts as SIGKILL.
    """

    def __init__(self, keeper: "Keeper", loop: asyncio.AbstractEventLoop, output: int, errors: int) -> None:
        self._keeper = keeper
        self.output, self.errors = output, errors
        self.line: socket.socket | None = None
        self.started: asyncio.Future[int] = loop.create_future()
        self.gone: asyncio.Future[int] = loop.create_future()

    def terminate(self) -> None:
        """SIGTERM to its processes."""
        if not self.gone.done():
            self._keeper.ask(b"T\n")

    def kill(self) -> None:
        """SIGKILL to all of them, until none is left."""
        if not self.gone.done():
            self._keeper.ask(b"K\n")

    def close(self) -> None:
        """Close what is ours."""
        os.close(self.output)
        os.close(self.errors)
        if self.line:
            self.line.close()


class Keeper:
    """A process that keeps one run at a time; `is_alive` until its socket closes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, control: socket.socket) -> None:
        self._loop, self._control = loop, control
        self._heard = b""
        self._child: Child | None = None
        self._free: asyncio.Event = asyncio.Event()
        self.is_alive = True
        control.setblocking(False)
        loop.add_reader(control, self._hear)

    def begin(self, order: Order, *, has_line: bool) -> Child:
        """Order a child; its `started` tells the rest."""
        output, its_output = os.pipe()
        errors, its_errors = os.pipe()
        child = Child(self, self._loop, output, errors)
        theirs = [its_output, its_errors]
        if has_line:
            child.line, its_line = socket.socketpair()
            theirs.append(its_line.detach())
        os.set_blocking(output, False)
        os.set_blocking(errors, False)
        self._child = child
        text = json.dumps({"words": list(order.words), "env": order.env, "folder": order.folder}) + "\n"
        try:
            self._send(text.encode(), theirs)
        except OSError:
            self._close()
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return child

    def _send(self, order: bytes, descriptors: Sequence[int]) -> None:
        """Most orders fit the socket's buffer; the rest of a long one is read while we wait here."""
        self._control.setblocking(True)
        try:
            sent = socket.send_fds(self._control, [order], descriptors)
            if sent < len(order):
                self._control.sendall(order[sent:])
        finally:
            self._control.setblocking(False)

    def ask(self, what: bytes) -> None:
        """Ask for `T` or `K`."""
        with contextlib.suppress(OSError):  # told by `_close`
            self._control.send(what)

    def _hear(self) -> None:
        try:
            part = self._control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        *lines, self._heard = (self._heard + part).split(b"\n")
        for line in lines:
            self._understand(*line.decode(errors="replace").split(" ", 2))
        if not part:
            self._close()

    def _understand(self, word: str, number: str, what: str = "") -> None:
        child = self._child
        if child is None:
            return
        if word == "pid":
            _set(child.started, int(number))
            return
        if word == "error" and not child.started.done():
            child.started.set_exception(StartFailed(int(number), what))
            child.started.exception()  # asked for: who was cancelled does not ask any more
        self._child = None
        _set(child.gone, int(number) if word == "exit" else KILLED)

    def _close(self) -> None:
        """It has ended: told to, or killed with all below it."""
        if self.is_alive:
            self.is_alive = False
            self._loop.remove_reader(self._control)
            self._control.close()
            if self._child:
                self._understand("error", "0", "")

    def close(self) -> None:
        """Let it end; what it keeps is killed."""
        self._close()


async def _until_gone(child: Child) -> None:
    """Wait for its end, however often this is cancelled meanwhile: until then its pipes are in use."""
    while not child.gone.done():
        with contextlib.suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
            await asyncio.wait([child.gone])


def _set(future: "asyncio.Future[int]", value: int) -> None:
    if not future.done():
        future.set_result(value)


class Children:
    """Starts children, each below a keeper; idle keepers are used again. Keepers are forks of one process.

    With `python`, that process has the modules of entrypoints loaded: a child is a fork of it, not an interpreter.
    `folder` is removed when the worker is gone, however it went.
    """

    def __init__(self, folder: str, *, python: bool = False) -> None:
        self._folder, self._python = folder, python
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._idle: list[Keeper] = []
        self._starting = asyncio.Lock()
        # Popen may block for a moment, and asyncio's child watcher must not see this process.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sluice-keeper")

    async def start(self, order: Order) -> Child:
        """Start a child. Raises StartFailed, OSError (no descriptors or processes left)."""
        keeper = await self._take()
        child = keeper.begin(order, has_line=not order.words)
        child.gone.add_done_callback(lambda _: self._give_back(keeper))
        try:
            await asyncio.shield(child.started)
        except asyncio.CancelledError:
            child.kill()
            await _until_gone(child)
            child.close()
            raise
        except StartFailed:
            child.close()
            raise
        return child

    async def _take(self) -> Keeper:
        while self._idle:
            keeper = self._idle.pop()
            if keeper.is_alive:
                return keeper
        async with self._starting:
            if self._process is None or self._process.poll() is not None:
                await asyncio.get_running_loop().run_in_executor(self._starter, self._launch)
        ours, its = socket.socketpair()
        with its:
            if self._socket:
                socket.send_fds(self._socket, [b"k"], [its.fileno()])
        return Keeper(asyncio.get_running_loop(), ours)

    def _give_back(self, keeper: Keeper) -> None:
        if keeper.is_alive and len(self._idle) < _IDLE_KEEPERS:
            self._idle.append(keeper)
        else:
            keeper.close()

    def _launch(self) -> None:
        """Start the process; the keepers of an earlier one go on keeping, or died with it."""
        if self._socket:
            self._socket.close()
        self._socket, its = socket.socketpair()
        with its:
            words = [sys.executable, "-P", *([] if self._python else ["-S"]), str(_KEEPER), str(its.fileno())]
            words += [self._folder, *(["python"] if self._python else [])]
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, pass_fds=(its.fileno(),), start_new_session=True,
                env=clean_environment(),
            )  # fmt: skip

    async def close(self) -> None:
        """End all keepers and what they keep."""
        for keeper in self._idle:
            keeper.close()
        if self._socket:
            self._socket.close()
        if self._process:
            await asyncio.get_running_loop().run_in_executor(self._starter, _farewell, self._process)
        self._starter.shutdown()


def _farewell(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_FAREWELL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def clean_environment() -> dict[str, str]:
    """What a child may know: nothing of Sluice's settings, which hold the server's password, nor of our own trace."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}  # noqa: TID251 - the child's
