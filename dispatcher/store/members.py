"""The members of a cluster: a client of each in one profile, and which of them has a slot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from .slots import SlotMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.exceptions import MovedError

    from ..addresses import Address, Host


class Members:
    """Clients of members, made by `connect` when first needed; those that are no masters any more are closed."""

    def __init__(self, address: Address, connect: Callable[[str], Any]) -> None:
        self._map = SlotMap(address)
        self._connect = connect
        self._clients: dict[Host, Any] = {}
        self._reading = asyncio.Lock()

    def client(self, host: Host) -> Any:
        """The client of one member."""
        found = self._clients.get(host)
        if found is None:
            found = self._clients[host] = self._connect(self._map.url(host))
        return found

    async def owner(self, slot: int) -> Host:
        """Who has a slot. Raises redis-py's ConnectionError and ClusterDownError."""
        if self._map.is_stale:
            await self._read()
        return self._map.owner(slot)

    async def masters(self) -> dict[str, Any]:
        """Clients of all that have slots by now, by `host:port`. Raises redis-py's ConnectionError."""
        self.distrust()
        await self._read()
        return {f"{host}:{port}": self.client((host, port)) for host, port in self._map.masters}

    def moved(self, error: MovedError, asked: Host) -> Host:
        """Take note of a MOVED that a member answered; who has the slot now."""
        return self._map.moved(error, asked)

    def distrust(self) -> None:
        """Let the next one who asks for an owner ask the cluster."""
        self._map.is_stale = True

    async def close(self) -> None:
        """Close all connections."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    async def _read(self) -> None:
        async with self._reading:
            if not self._map.is_stale:
                return
            await to_thread.run_sync(self._map.read, abandon_on_cancel=True)
            for host in self._clients.keys() - set(self._map.masters):
                await self._clients.pop(host).aclose()
