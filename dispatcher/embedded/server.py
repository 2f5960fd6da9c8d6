"""The embedded server itself: started, watched, stopped."""

import atexit
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from ..clock import Clock, SystemClock
from .binary import Server, Source, find_server
from .errors import EmbeddedServerFailed
from .folder import ServerFolder
from .probe import Address, ask
from .process import Child

_POLL = 0.01
_PATIENCE = 15.0
_LOADING_PATIENCE = 600.0
_FAREWELL = 10.0


class EmbeddedServer:
    """A server of our own, with the settings that Sluice wants; it ends when this process does.

    `data_dir` is its folder, by default a temporary one that goes with it. It listens on a socket file in a private
    folder, or on 127.0.0.1 when a `port` is given (0: any free one). With `persistent`, every write reaches the
    append-only file within a second. `server` or `prefer` choose the program; `extra_args` end its command line.

    Use it as an async context manager, or call `start` and `stop`. Starting raises EmbeddedServerMissing,
    EmbeddedServerBusy or EmbeddedServerFailed.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int | None = None,
        persistent: bool = True,
        prefer: Source | None = None,
        server: Server | None = None,
        extra_args: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._data_dir, self._port, self._persistent = data_dir, port, persistent
        self._prefer: Source | None = prefer
        self._server, self._extra_args = server, tuple(extra_args)
        self._clock = clock or SystemClock()
        self._folder: ServerFolder | None = None
        self._address: Address | None = None
        self._child: Child | None = None
        self._owner = 0

    @property
    def url(self) -> str:
        """Its address for a Redis client; the same after `restart`."""
        if self._address is None:
            raise RuntimeError("the embedded server has not been started")
        return self._address.url

    @property
    def pid(self) -> int:
        """The process id of the server, 0 before the first start."""
        return self._child.pid if self._child else 0

    @property
    def server(self) -> Server:
        """The program that runs, or would."""
        if self._server is None:
            self._server = find_server(self._prefer)
        return self._server

    @property
    def data_dir(self) -> Path:
        """The folder with its data and `server.log`."""
        return self._taken().path

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._child is not None and self._child.exit_code is None

    def start(self) -> Self:
        """Start it and return when it answers, old data loaded. Starting a running server does nothing."""
        if self.is_running:
            return self
        server = self.server
        if self._folder is None:
            self._folder, self._owner = ServerFolder(self._data_dir), os.getpid()
            atexit.register(self.stop)
        try:
            self._launch(server, self._folder)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ask it to end, force it after ten seconds, give the folder back. Repeatable; no effect in a forked child."""
        if self._folder is None or self._owner != os.getpid():
            return
        self._end(signal.SIGTERM)
        self._folder.release()
        self._folder = self._address = self._child = None
        atexit.unregister(self.stop)

    def restart(self, *, kill: bool = False) -> None:
        """End it (`kill`: by SIGKILL) and start it on the same folder and address, with what was persisted."""
        self._taken()
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        self.start()

    async def wait_ended(self) -> int:
        """Return the exit code once the process has ended, for whatever reason."""
        while self._child is not None and self._child.exit_code is None:
            await self._clock.sleep(0.1)
        return self._child.exit_code or 0 if self._child else 0

    async def __aenter__(self) -> Self:
        return await anyio.to_thread.run_sync(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.stop)

    def _taken(self) -> ServerFolder:
        if self._folder is None:
            raise RuntimeError("the embedded server has not been started")
        return self._folder

    def _launch(self, server: Server, folder: ServerFolder) -> None:
        address = self._address or self._choose_address(folder)
        self._address = address
        command = [str(server.path), *self._arguments(address, folder.path), *self._extra_args]
        try:
            self._child = Child(command, folder=folder.path, log=folder.log, keep=(folder.lock,))
        except OSError as error:
            raise EmbeddedServerFailed(f"{server.path} cannot be run: {error}", "") from error
        self._wait_until_ready(self._child, address, folder)
        folder.announce(self._child.pid, address.url)

    def _choose_address(self, folder: ServerFolder) -> Address:
        if self._port is None:
            return Address(socket=folder.socket())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self._port))
            except OSError as error:
                raise EmbeddedServerFailed(f"port {self._port} cannot be used: {error.strerror}", "") from error
            port: int = probe.getsockname()[1]
            return Address(port=port)

    def _arguments(self, address: Address, folder: Path) -> list[str]:
        """Return the command line: what Sluice's own servers are set to (dispatcher/README.md)."""
        options = {
            "--port": str(address.port),
            "--bind": "127.0.0.1",
            "--dir": str(folder),
            "--save": "",
            "--appendonly": "yes" if self._persistent else "no",
            "--appendfsync": "everysec",
            "--maxmemory-policy": "noeviction",
            "--stream-node-max-bytes": "512",  # a short stream costs 0.8 kB instead of 4.4 kB
            "--zset-max-listpack-entries": "16",  # adding 50 holders to a set of 100 costs 8 us instead of 57 us
            "--daemonize": "no",
        }
        if address.socket is not None:
            options |= {"--unixsocket": str(address.socket), "--unixsocketperm": "600"}
        return [word for pair in options.items() for word in pair]

    def _wait_until_ready(self, child: Child, address: Address, folder: ServerFolder) -> None:
        """Return when it answers. A server that loads its data is given ten minutes, a silent one fifteen seconds."""
        began = self._clock.monotonic()
        while (answer := ask(address, child.pid)) != "ready":
            if child.wait(_POLL):
                raise EmbeddedServerFailed(f"the server ended with code {child.exit_code}", folder.log_tail())
            if self._clock.monotonic() - began > (_LOADING_PATIENCE if answer == "loading" else _PATIENCE):
                raise EmbeddedServerFailed("the server does not answer", folder.log_tail())

    def _end(self, first: signal.Signals) -> None:
        """Send the signal and wait; a stopped or stuck process is killed."""
        if self._child is None:
            return
        self._child.send(first)
        if not self._child.wait(_FAREWELL):
            self._child.send(signal.SIGKILL)
            self._child.wait()
