"""The network of the soak, a process of its own: a TCP way to the servers for each member, each with its own faults.

`python -m soaking.proxy '{"upstreams": [PORT, ...], "sentinels": [PORT, ...], "control": PORT, "ways": {"worker-0":
[PORT, ...], ...}, "seed": N}'`. One line of JSON to the control port sets ways: `{"ways": ["worker-0"], "set":
{"delay": 0.2, "jitter": 0.1}}`; it answers `ok`. What sentinels say of the servers is changed on its way: they name
the ports that are the member's own, so that it keeps to its way.
"""

import asyncio
import json
import random
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_CHUNK = 16_384


@dataclass(eq=False)
class Way:
    """One member's way. Delay and jitter in seconds, width in bytes a second (0: any)."""

    delay: float = 0.0
    jitter: float = 0.0
    width: int = 0
    hole: bool = False
    """Nothing passes; what is held back arrives when the way is mended."""
    deaf: bool = False
    """Commands pass and replies do not; they are lost, the connections are cut when the way is mended."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    links: set["Link"] = field(default_factory=set)
    renamed: dict[bytes, bytes] = field(default_factory=dict)
    """Ports in a reply of a sentinel -> those of this way. They come whole: a reply is one small write."""

    def rename(self, reply: bytes) -> bytes:
        """The reply with this way's ports."""
        for port, own in self.renamed.items():
            reply = reply.replace(port, own)
        return reply

    def set(self, change: dict[str, Any]) -> None:
        """Change it; `reset` cuts all connections at once."""
        if change.get("reset"):
            for link in list(self.links):
                link.cut()
        for name in change.keys() - {"reset"}:
            setattr(self, name, change[name])
        self.changed.set()
        self.changed = asyncio.Event()


class Link:
    """One connection of a member, and its twin to the server."""

    def __init__(self, way: Way, upstream: int, rng: random.Random, *, is_sentinel: bool) -> None:
        self._way, self._upstream, self._rng, self._is_sentinel = way, upstream, rng, is_sentinel
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """End both sides with RST."""
        for writer in self._writers:
            plain = writer.get_extra_info("socket")
            with suppress(OSError):
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass data both ways until one side ends."""
        self._way.links.add(self)
        self._writers.append(writer)
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._upstream)
            self._writers.append(onward)
            tasks = [
                asyncio.create_task(self._pass(reader, onward, is_reply=False)),
                asyncio.create_task(self._pass(there, writer, is_reply=True)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # the server is away: the member sees its connection end
        finally:
            self._way.links.discard(self)
            self.cut()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        way = self._way
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if is_reply and (way.delay or way.jitter):
                    await asyncio.sleep(way.delay + way.jitter * self._rng.random())
                if way.width:
                    await asyncio.sleep(len(data) / way.width)
                while way.hole:
                    await way.changed.wait()
                if is_reply and way.deaf:
                    while way.deaf:
                        await way.changed.wait()
                    return
                writer.write(way.rename(data) if is_reply and self._is_sentinel else data)
                await writer.drain()


class Network:
    """All ways, and who changes them."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._upstreams, self._sentinels = given["upstreams"], given["sentinels"]
        self._control, self._ports = given["control"], given["ways"]
        self._rng = random.Random(f"{given['seed']}/network")
        self._ways = {name: Way(renamed=self._renamed(ports)) for name, ports in self._ports.items()}

    async def serve(self) -> None:
        """Serve until cancelled."""
        for name, ports in self._ports.items():
            for port, upstream in zip(ports, self._upstreams, strict=True):
                await asyncio.start_server(self._taker(self._ways[name], upstream), "127.0.0.1", port)
        async with await asyncio.start_server(self._listen, "127.0.0.1", self._control) as control:
            await control.serve_forever()

    def _renamed(self, ports: list[int]) -> dict[bytes, bytes]:
        return {_bulk(there): _bulk(here) for there, here in zip(self._upstreams, ports, strict=True)}

    def _taker(self, way: Way, upstream: int) -> Any:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await Link(way, upstream, self._rng, is_sentinel=upstream in self._sentinels).run(reader, writer)

        return take

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            asked = json.loads(line)
            for name in asked["ways"]:
                self._ways[name].set(asked["set"])
            writer.write(b"ok\n")
            await writer.drain()
        writer.close()


def _bulk(port: int) -> bytes:
    return b"\r\n$%d\r\n%d\r\n" % (len(str(port)), port)


if __name__ == "__main__":
    asyncio.run(Network(json.loads(sys.argv[1])).serve())
