"""Our end of the fault proxy: starts it, says what happens to whose way."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.embedded.process import Child

from .members import SCRIPTS
from .server import PATIENCE, SoakError
from .timetable import EVERYBODY

if TYPE_CHECKING:
    from .sentinels import Trio
    from .server import Redis

MENDED = {"delay": 0.0, "jitter": 0.0, "width": 0, "hole": False, "deaf": False}


class Network:
    """A way to the server, or to each of them, for each member. The address of a way never changes."""

    def __init__(self, folder: Path, server: "Redis | Trio", seed: int) -> None:
        self._log, self._server, self._seed = folder / "proxy.log", server, seed
        self._control, *ports = _free_ports(1 + len(EVERYBODY) * len(server.ports))
        width = len(server.ports)
        self._ports = {name: ports[n * width : (n + 1) * width] for n, name in enumerate(EVERYBODY)}
        self._child: Child | None = None

    def url_of(self, member: str) -> str:
        """Where a member finds the server."""
        return self._server.address(self._ports[member])

    async def start(self) -> None:
        """Start the process; returns when it serves."""
        given = {
            "upstreams": self._server.ports, "sentinels": self._server.sentinel_ports, "control": self._control,
            "ways": self._ports, "seed": self._seed,
        }  # fmt: skip
        words = [sys.executable, "-m", "soaking.proxy", json.dumps(given)]
        self._child = await asyncio.to_thread(Child, words, folder=SCRIPTS, log=self._log)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await self.set([], {})
            except OSError:
                if self._child.exit_code is not None or time.monotonic() > until:
                    raise SoakError(f"the proxy does not start:\n{self._log.read_text()[-2000:]}") from None
                await asyncio.sleep(0.02)

    async def set(self, members: Iterable[str], change: dict[str, object]) -> None:
        """Change the ways of some members."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._control)
        writer.write(json.dumps({"ways": list(members), "set": change}).encode() + b"\n")
        answer = await reader.readline()
        writer.close()
        if answer != b"ok\n":
            raise SoakError(f"the proxy did not take {change}: see {self._log}")

    async def mend(self, members: Iterable[str] = EVERYBODY) -> None:
        """Let everything pass again."""
        await self.set(members, MENDED)

    def stop(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.send(signal.SIGKILL)
            self._child.wait(PATIENCE)


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
