"""Does what the timetable says, each fault in its time, and takes all of it back at the end."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import redis

from dispatcher import Client
from dispatcher.errors import SluiceError

from .load import LIMITS, POOL, POOL_LIMIT, PROCESSES, QUEUES
from .members import Crew
from .network import Network
from .sentinels import Trio
from .server import Redis
from .timetable import EVERYBODY, GROUPS, Planned

AWAY = (SluiceError, redis.RedisError, OSError)
_NETWORK: dict[str, dict[str, object]] = {
    "delay": {"delay": 0.15, "jitter": 0.3},
    "black-hole": {"hole": True},
    "one-way": {"deaf": True},
    "narrow": {"width": 20_000},
}


class Faults:
    """Hurts a running soak. `done` counts by kind; `missed` those that found no server to be hurt."""

    def __init__(self, server: Redis | Trio, network: Network, crew: Crew, client: Client) -> None:
        self._server, self._network, self._crew, self._client = server, network, crew, client
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.touched: list[tuple[float, float]] = []
        """Times in which the server, the network of all or a limit was touched, in seconds since 1970."""
        self.cut_off: dict[str, list[tuple[float, float]]] = {}
        """The same for the way of one member."""

    async def play(self, plan: Sequence[Planned]) -> None:
        """Do everything at its time; returns when the last fault is over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for planned in plan:
                await asyncio.sleep(max(0.0, began + planned.at - time.monotonic()))
                group.create_task(self._do(planned))

    async def heal(self) -> None:
        """Take back whatever is still set: the server's limit, pauses, limits. Raises when the server stays away."""
        await self._network.mend()
        for member in self._crew.members.values():
            member.send(signal.SIGCONT)
        await self._server.connection.config_set("maxmemory", "0")
        for pool in (POOL, PROCESSES):
            await self._client.pools.resume(pool)
        await self._client.pools.update(POOL, limit=POOL_LIMIT)
        for queue, (_, limit) in QUEUES.items():
            await self._client.queues.update(queue, pool=POOL, limit=limit, paused=False)
        for key, limit in LIMITS.items():
            await self._client.limits.set(key, limit, pool=POOL)

    async def _do(self, planned: Planned) -> None:
        began = time.time()
        try:
            await self._act(planned)(planned)
        except AWAY:
            self.missed[planned.kind] += 1
        else:
            self.done[planned.kind] += 1
        if planned.target in {"redis", "everybody"} or planned.kind in {"limit", "pause"}:
            self.touched.append((began, time.time()))
        elif planned.kind in GROUPS["network"]:
            self.cut_off.setdefault(planned.target, []).append((began, time.time()))

    def _act(self, planned: Planned) -> Callable[[Planned], Awaitable[None]]:
        if planned.kind in {"delay", "black-hole", "one-way", "narrow", "reset"}:
            return self._disturb
        return {
            "kill": self._signal, "stop": self._signal, "freeze": self._freeze, "freeze-long": self._freeze,
            "redis-kill": self._kill_server, "cut-kill": self._kill_beside, "replica-kill": self._kill_beside,
            "sentinel-kill": self._kill_beside, "script-flush": self._tell_server, "client-kill": self._tell_server,
            "debug-sleep": self._tell_server, "memory": self._fill, "limit": self._limit, "pause": self._pause,
        }[planned.kind]  # fmt: skip

    async def _signal(self, planned: Planned) -> None:
        self._crew.members[planned.target].send(signal.SIGKILL if planned.kind == "kill" else signal.SIGTERM)

    async def _freeze(self, planned: Planned) -> None:
        await self._crew.members[planned.target].freeze(planned.seconds)

    async def _disturb(self, planned: Planned) -> None:
        whose = EVERYBODY if planned.target == "everybody" else (planned.target,)
        if planned.kind == "reset":
            await self._network.set(whose, {"reset": True})
            return
        await self._network.set(whose, _NETWORK[planned.kind])
        await asyncio.sleep(planned.seconds)
        await self._network.mend(whose)

    async def _kill_server(self, planned: Planned) -> None:
        await self._server.away(planned.seconds)

    async def _kill_beside(self, planned: Planned) -> None:
        if not isinstance(self._server, Trio):
            return
        if planned.kind == "cut-kill":
            await self._server.away(0.0, cut_off=planned.seconds)
        elif planned.kind == "replica-kill":
            await self._server.replica_away(planned.seconds)
        else:
            await self._server.sentinel_away(planned.seconds)

    async def _tell_server(self, planned: Planned) -> None:
        words: dict[str, tuple[str | float, ...]] = {
            "script-flush": ("SCRIPT", "FLUSH"),
            "client-kill": ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
            "debug-sleep": ("DEBUG", "SLEEP", f"{planned.seconds:.3f}"),
        }
        await self._server.connection.execute_command(*words[planned.kind])

    async def _fill(self, planned: Planned) -> None:
        await self._server.connection.config_set("maxmemory", "1mb")
        await asyncio.sleep(planned.seconds)
        await _surely(lambda: self._server.connection.config_set("maxmemory", "0"))

    async def _limit(self, planned: Planned) -> None:
        what, _, name = planned.target.partition(" ")
        if what == "pool":
            await self._client.pools.update(POOL, limit=planned.value)
        elif what == "queue":
            await self._client.queues.update(name, pool=POOL, limit=planned.value)
        else:
            await self._client.limits.set(name, planned.value, pool=POOL)

    async def _pause(self, planned: Planned) -> None:
        what, _, name = planned.target.partition(" ")
        if what == "pool":
            await self._client.pools.pause(POOL)
            await asyncio.sleep(planned.seconds)
            await _surely(lambda: self._client.pools.resume(POOL))
        else:
            await self._client.queues.pause(name, pool=POOL)
            await asyncio.sleep(planned.seconds)
            await _surely(lambda: self._client.queues.resume(name, pool=POOL))


async def _surely(act: Callable[[], Awaitable[object]]) -> None:
    """Do it, as often as the server is away."""
    while True:
        try:
            await act()
        except AWAY:
            await asyncio.sleep(0.2)
        else:
            return
