"""A master, its replica and three sentinels: the master is killed, and the other one takes its place."""

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis.asyncio
import redis.asyncio.sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dispatcher.embedded.process import Child

from .server import Redis, SoakError, find, free_port

SERVICE = "soak"
DOWN_AFTER_MS = 1_000
PATIENCE = 60.0
_REPLICA = {"repl-diskless-sync-delay": "0", "min-replicas-to-write": "0"}
_MARK = "soak:mark"


class Sentinel:
    """One sentinel; it keeps in its folder what it learns."""

    def __init__(self, folder: Path, program: Path, master: int) -> None:
        self._folder, self._program, self._master = folder, program, master
        self.port = free_port()
        self.connection = redis.asyncio.Redis(port=self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        self._child: Child | None = None

    @property
    def log(self) -> str:
        """What it wrote so far."""
        path = self._folder / "sentinel.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def is_up(self) -> bool:
        """Whether it lives."""
        return self._child is not None

    async def start(self) -> None:
        """Start it; returns when it answers."""
        config = self._folder / "sentinel.conf"
        if not config.exists():
            self._folder.mkdir(parents=True)
            config.write_text(
                f"port {self.port}\nbind 127.0.0.1\ndir {self._folder}\n"
                f"sentinel monitor {SERVICE} 127.0.0.1 {self._master} 2\n"
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {SERVICE} 4000\n"
            )
        words = [str(self._program), str(config), "--sentinel"]
        self._child = await asyncio.to_thread(Child, words, folder=self._folder, log=self._folder / "sentinel.log")
        await until(self.connection.ping, "a sentinel answers")
        await self.connection.execute_command("SENTINEL", "DEBUG", "INFO-PERIOD", 500)  # else it looks each 10 s

    async def kill(self) -> None:
        """End it with SIGKILL."""
        child, self._child = self._child, None
        if child is not None:
            child.send(9)
            await asyncio.to_thread(child.wait)
        await self.connection.connection_pool.disconnect()

    async def names(self, port: int) -> bool:
        """Whether it finds the master at a port, well, with a replica in step and both other sentinels."""
        state = await self.connection.sentinel_master(SERVICE)
        replicas = await self.connection.sentinel_slaves(SERVICE)
        well = state["flags"] == "master" and state["num-slaves"] == 1 and state["num-other-sentinels"] == 2
        return well and state["port"] == port and all(row["master-link-status"] == "ok" for row in replicas)

    async def follows(self, port: int) -> bool:
        """Whether it finds the master at a port."""
        return bool((await self.connection.sentinel_master(SERVICE))["port"] == port)


class Trio:
    """All of it, as one server: whatever is asked goes to whoever is the master."""

    durability = "replicated"

    def __init__(self, kind: str, folder: Path) -> None:
        self.program = find(kind)
        self.outages: list[tuple[float, float]] = []
        """From a master's death until the sentinels named the other one, in seconds since 1970."""
        self._servers = [Redis(kind, folder / f"server-{number}", _REPLICA) for number in range(2)]
        first, program = self._servers[0].port, self.program.path
        self._sentinels = [Sentinel(folder / f"sentinel-{number}", program, first) for number in range(3)]
        once: dict[str, Any] = {"socket_timeout": 5, "retry": Retry(NoBackoff(), 1)}
        hosts = [("127.0.0.1", sentinel.port) for sentinel in self._sentinels]
        watch = redis.asyncio.sentinel.Sentinel(hosts, sentinel_kwargs=once)
        self.connection: redis.asyncio.Redis = watch.master_for(SERVICE, **once)
        self._watch, self._busy = watch, asyncio.Lock()

    @property
    def url(self) -> str:
        """The address past every proxy."""
        return self.address(self.ports)

    @property
    def failovers(self) -> list[float]:
        """When another one became the master, in seconds since 1970, as each sentinel heard of it.

        That is also without a fault of ours: on a busy machine sentinels take a slow master for a dead one.
        """
        return [at for sentinel in self._sentinels for at in changes_in(sentinel.log)]

    @property
    def sentinel_ports(self) -> list[int]:
        """Where it is said which one is the master."""
        return [sentinel.port for sentinel in self._sentinels]

    @property
    def ports(self) -> list[int]:
        """Those of the sentinels, then those of both servers."""
        return [*self.sentinel_ports, *(server.port for server in self._servers)]

    def address(self, ports: Sequence[int]) -> str:
        """The address of whoever finds the sentinels at these ports."""
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports[:3]) + f"/{SERVICE}"

    async def sure(self, ask: Callable[["redis.asyncio.Redis"], Any]) -> Any:
        """The answer to a question that the replica could have given, too: no failover makes it untrue.

        Question and proof travel together, so that one server answers both. Raises ConnectionError without a replica.
        """
        async with self.connection.pipeline(transaction=False) as pipe:
            ask(pipe)
            pipe.set(_MARK, "1")
            pipe.execute_command("WAIT", 1, 2_000)
            answer, _, replicas = await pipe.execute()
        if replicas < 1:
            raise redis.ConnectionError("no replica has it")
        return answer

    async def start(self) -> None:
        """Start all; returns when a failover would find everything in place."""
        first, second = self._servers
        await first.start()
        await second.start(master=first.port)
        await until(lambda: _is_synced(second), "the replica is in step")
        for sentinel in self._sentinels:
            await sentinel.start()
        await self._until_whole()

    async def away(self, seconds: float, *, cut_off: float = 0.0) -> None:
        """Kill the master without a warning; after so many seconds and the failover it comes back as a replica.

        With `cut_off`, its replica hears nothing of its last seconds: what it acknowledges in them dies with it.
        """
        async with self._busy:
            await self._until_whole()
            old, new = await self._roles()
            if cut_off:
                new.send(signal.SIGSTOP)
                await old.connection.execute_command("CLIENT", "KILL", "TYPE", "replica")
                await asyncio.sleep(cut_off)
            at = await old.crash()
            new.send(signal.SIGCONT)
            await until(lambda: _is_master(new), "the replica is promoted")
            await until(lambda: self._all(lambda one: one.follows(new.port)), "the sentinels name it")
            self.outages.append((at, time.time()))
            await asyncio.sleep(max(0.0, at + seconds - time.time()))
            await old.start(master=new.port)
            await self._until_whole()

    async def replica_away(self, seconds: float) -> None:
        """Kill the replica for some seconds: nothing can be replicated meanwhile."""
        async with self._busy:
            await self._until_whole()
            master, replica = await self._roles()
            await replica.crash()
            await asyncio.sleep(seconds)
            await replica.start(master=master.port)
            await self._until_whole()

    async def sentinel_away(self, seconds: float) -> None:
        """Kill a sentinel for some seconds, when all are there; two are enough."""
        chosen = self._sentinels[len(self.outages) % 3]
        if all(sentinel.is_up for sentinel in self._sentinels):
            await chosen.kill()
            await asyncio.sleep(seconds)
            await chosen.start()

    async def stop(self) -> None:
        """End it for good."""
        for sentinel in self._sentinels:
            await sentinel.kill()
            await sentinel.connection.aclose()
        await self.connection.aclose()
        for watching in self._watch.sentinels:
            await watching.aclose()
        for server in self._servers:
            await server.stop()

    async def _roles(self) -> tuple[Redis, Redis]:
        first, second = self._servers
        return (first, second) if await _is_master(first) else (second, first)

    async def _until_whole(self) -> None:
        await until(self._is_whole, "a failover would find everything in place")

    async def _is_whole(self) -> bool:
        master, replica = await self._roles()
        return await _is_synced(replica) and await self._all(lambda sentinel: sentinel.names(master.port))

    async def _all(self, ask: Callable[[Sentinel], Awaitable[bool]]) -> bool:
        return all([await ask(sentinel) for sentinel in self._sentinels if sentinel.is_up])


def changes_in(log: str) -> list[float]:
    """When a sentinel learned that another one is the master, in seconds since 1970."""
    found = re.findall(r"^\d+:X (\d+ \w+ \d+ [\d:]+)(\.\d+) # \+switch-master ", log, re.MULTILINE)
    return [time.mktime(time.strptime(at, "%d %b %Y %H:%M:%S")) + float(rest) for at, rest in found]


async def _is_master(server: Redis) -> bool:
    return bool((await server.connection.info("replication"))["role"] == "master")


async def _is_synced(server: Redis) -> bool:
    return (await server.connection.info("replication")).get("master_link_status") == "up"


async def until(ask: Callable[[], Awaitable[Any]], what: str) -> None:
    """Wait until the answer is yes; who does not answer says no. Raises SoakError after a minute."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(redis.RedisError, OSError):
            if await ask():
                return
        await asyncio.sleep(0.05)
    raise SoakError(f"the servers do not come to it within {PATIENCE:g} s that {what}")
