"""The server of the soak: a real redis-server or valkey-server, its data kept as production keeps it."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis.asyncio

from dispatcher.embedded import bundled_server, server_on_path
from dispatcher.embedded.binary import Server
from dispatcher.embedded.process import Child

_SETTINGS = {
    "bind": "127.0.0.1", "save": "", "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction",
    "stream-node-max-bytes": "512", "zset-max-listpack-entries": "16", "enable-debug-command": "local",
    "auto-aof-rewrite-min-size": "32mb",
}  # fmt: skip
PATIENCE = 30.0


class SoakError(Exception):
    """The soak itself could not go on: nothing is said of Sluice."""


def find(kind: str) -> Server:
    """The program for `redis` or `valkey`. Raises SoakError when this machine has none."""
    for found in (server_on_path(), bundled_server()):
        if found is not None and found.kind == kind:
            return found
    raise SoakError(f"no {kind} server on PATH" + (", and the extra `embedded` is not installed" * (kind == "valkey")))


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Redis:
    """One server on a free port of 127.0.0.1, killed and started again on the same data.

    `settings` are lines of its configuration; `address_of` makes its address of a port, `files` are certificates.
    """

    durability = "fast"
    """Of publishes: what is acknowledged then outlives whatever is done to it here."""
    failovers: Sequence[float] = ()

    def __init__(
        self, kind: str, folder: Path, settings: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None, address_of: Callable[[int], str] | None = None,
    ) -> None:  # fmt: skip
        self.program, self.folder = find(kind), folder
        self.outages: list[tuple[float, float]] = []
        """From and until when, in seconds since 1970, it was away."""
        self.port = free_port()
        port = {"port": "0", "tls-port": str(self.port)} if files else {"port": str(self.port)}
        self._settings = {**_SETTINGS, **port, "dir": str(folder), **(settings or {})}
        self._address_of = address_of or (lambda port: f"redis://127.0.0.1:{port}/0")
        encrypted: dict[str, Any] = {"ssl": True, **files} if files else {}
        self.connection = redis.asyncio.Redis(host="127.0.0.1", port=self.port, socket_timeout=30, **encrypted)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Its own address, past every proxy."""
        return self.address([self.port])

    @property
    def ports(self) -> list[int]:
        """Where it listens: a member has a way to each."""
        return [self.port]

    @property
    def sentinel_ports(self) -> list[int]:
        """Nobody says of it where it is."""
        return []

    def address(self, ports: Sequence[int]) -> str:
        """The address of whoever finds it at these ports."""
        return self._address_of(ports[0])

    async def sure(self, ask: Callable[["redis.asyncio.Redis"], Any]) -> Any:
        """The answer to a question, which nothing that is done here can make untrue again."""
        return await ask(self.connection)

    @property
    def is_away(self) -> bool:
        """Whether it was killed and has not been started again."""
        return self._child is None

    async def start(self, *, master: int = 0) -> None:
        """Start it, as a replica where a master's port is given; returns when it serves. Raises SoakError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [word for name, value in self._settings.items() for word in (f"--{name}", value)]
        words += ["--replicaof", "127.0.0.1", str(master)] if master else []
        log = self.folder / "server.log"
        child = await asyncio.to_thread(Child, [str(self.program.path), *words], folder=self.folder, log=log)
        until = time.monotonic() + PATIENCE
        while not await self._answers():
            if child.exit_code is not None or time.monotonic() > until:
                raise SoakError(f"the server does not start:\n{log.read_text(errors='replace')[-2000:]}")
            await asyncio.sleep(0.01)
        self._child = child

    async def kill(self) -> float:
        """End it with SIGKILL; returns when, in seconds since 1970.

        With `everysec` a reply may go out while its write waits for the fsync before it, and is lost with the process.
        What power takes is another test; here every reply is written before: `always` for the last moment.
        """
        await self.connection.config_set("appendfsync", "always")
        return await self.crash()

    async def crash(self) -> float:
        """The same, and what was not written is lost."""
        child, self._child = self._child, None
        at = time.time()
        if child is not None:
            os.kill(child.pid, signal.SIGKILL)
            await asyncio.to_thread(child.wait)
        await self.connection.connection_pool.disconnect()
        return at

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._child is not None:
            os.kill(self._child.pid, number)

    async def away(self, seconds: float) -> None:
        """Kill it, leave it dead for some seconds, start it again."""
        at = await self.kill()
        await asyncio.sleep(seconds)
        await self.start()
        self.outages.append((at, time.time()))

    async def stop(self) -> None:
        """End it for good."""
        await self.connection.aclose()
        if self._child is not None:
            self._child.send(signal.SIGTERM)
            if not await asyncio.to_thread(self._child.wait, 10):
                self._child.send(signal.SIGKILL)

    async def _answers(self) -> bool:
        try:
            return bool(await self.connection.ping())
        except (redis.RedisError, OSError):
            return False
