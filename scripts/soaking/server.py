"""The server of the soak: a real redis-server or valkey-server, its data kept as production keeps it."""

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

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


class Redis:
    """One server on a free port of 127.0.0.1, killed and started again on the same data."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.program, self.folder = find(kind), folder
        self.outages: list[tuple[float, float]] = []
        """From and until when, in seconds since 1970, it was away."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.connection = redis.asyncio.Redis(port=self.port, socket_timeout=30)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Its own address, past every proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def is_away(self) -> bool:
        """Whether it was killed and has not been started again."""
        return self._child is None

    async def start(self) -> None:
        """Start it; returns when it serves. Raises SoakError when it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {**_SETTINGS, "port": str(self.port), "dir": str(self.folder)}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
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
        child, self._child = self._child, None
        at = time.time()
        if child is not None:
            os.kill(child.pid, signal.SIGKILL)
            await asyncio.to_thread(child.wait)
        await self.connection.connection_pool.disconnect()
        return at

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
