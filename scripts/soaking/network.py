"""Our end of the fault proxy: starts it, says what happens to whose way."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from dispatcher.embedded.process import Child

from .members import SCRIPTS
from .server import PATIENCE, SoakError
from .timetable import EVERYBODY

MENDED = {"delay": 0.0, "jitter": 0.0, "width": 0, "hole": False, "deaf": False}


class Network:
    """A way to the server for each member. The address of a way never changes."""

    def __init__(self, folder: Path, upstream: int, seed: int) -> None:
        self._log, self._upstream, self._seed = folder / "proxy.log", upstream, seed
        self._ports = dict(zip([*EVERYBODY, ""], _free_ports(len(EVERYBODY) + 1), strict=True))
        self._child: Child | None = None

    def url_of(self, member: str) -> str:
        """Where a member finds the server."""
        return f"redis://127.0.0.1:{self._ports[member]}/0"

    async def start(self) -> None:
        """Start the process; returns when it serves."""
        ways = {name: port for name, port in self._ports.items() if name}
        given = {"upstream": self._upstream, "control": self._ports[""], "ways": ways, "seed": self._seed}
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
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ports[""])
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
