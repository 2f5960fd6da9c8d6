"""Servers that stand in for one another, on loopback: two and three sentinels, or a cluster of three and three."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .processes import Child
from .servers import Kind, Server, free_port, require
from .waiting import wait_until_sync

DOWN_AFTER = 1.0
"""Seconds after which sentinels find a server down."""
_FORMED = 60.0


def ask(port: int, *words: str | int) -> Any:
    """One command over a connection of its own."""
    client = redis.Redis(port=port, socket_timeout=10, retry=Retry(NoBackoff(), 0))
    with contextlib.closing(client):
        return client.execute_command(*words)


def info(port: int, section: str) -> dict[str, Any]:
    """A section of INFO."""
    with contextlib.closing(redis.Redis(port=port, socket_timeout=5, retry=Retry(NoBackoff(), 0))) as client:
        return dict(client.info(section))


def holds(question: Callable[[], object]) -> bool:
    """Whether it is so; a server that does not answer says no."""
    try:
        return bool(question())
    except (redis.RedisError, OSError):
        return False


def is_synced(port: int) -> bool:
    """Whether a replica has all of its master. One that was never synced is not promoted."""
    return info(port, "replication").get("master_link_status") == "up"


class Sentinel:
    """One sentinel, in a folder of its own; it writes into its own file what it learns."""

    def __init__(self, master: Server, service: str = "sluice") -> None:
        self._service = service
        self._folder = Path(tempfile.mkdtemp(prefix="sluice-sentinel-"))
        self._master = master
        self.port = free_port()
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, with what it knew when it ended."""
        config = self._folder / "sentinel.conf"
        if not config.exists():
            config.write_text(
                f"port {self.port}\nbind 127.0.0.1\ndir {self._folder}\n"
                f"sentinel monitor {self._service} 127.0.0.1 {self._master.port} 2\n"
                f"sentinel down-after-milliseconds {self._service} {round(1000 * DOWN_AFTER)}\n"
                f"sentinel failover-timeout {self._service} 4000\n"
            )
        self._child = Child([require("redis"), config, "--sentinel"], output=self._folder / "log", cwd=self._folder)
        wait_until_sync(lambda: holds(lambda: ask(self.port, "PING")), description="a sentinel answers", timeout=30)
        ask(self.port, "SENTINEL", "DEBUG", "INFO-PERIOD", 500)  # it looks at servers each 10 s otherwise

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._child:
            self._child.kill()

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def master_port(self) -> int:
        """The port of the master that it names."""
        return int(ask(self.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "sluice")[1])

    def knows_all(self) -> bool:
        """Whether it knows the replica, in sync, and both other sentinels."""
        with contextlib.closing(redis.Redis(port=self.port, socket_timeout=10)) as client:
            state = client.sentinel_master("sluice")
            return (
                state["num-slaves"] == 1
                and state["num-other-sentinels"] == 2
                and state["flags"] == "master"
                and all(row["master-link-status"] == "ok" for row in client.sentinel_slaves("sluice"))
            )


class Trio:
    """Three sentinels over a master and a replica. `servers` are both, whichever is the master by now."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        wanted = {"repl-diskless-sync-delay": "0", **(settings or {})}
        self.servers = [Server("redis", aof=True, settings=wanted) for _ in range(2)]
        self.sentinels: list[Sentinel] = []

    @property
    def url(self) -> str:
        """The address by its sentinels."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/sluice"

    @property
    def master(self) -> Server:
        """The one that says that it is the master; AssertionError while both do."""
        (found,) = [server for server in self.servers if server.is_running and is_master(server)]
        return found

    @property
    def replica(self) -> Server:
        """The other one, also when it is down."""
        master = self.master
        return next(server for server in self.servers if server is not master)

    def start(self) -> Self:
        """Start all, and wait until a failover would find everything in place."""
        first, second = (server.start() for server in self.servers)
        ask(second.port, "REPLICAOF", "127.0.0.1", first.port)
        wait_until_sync(lambda: holds(lambda: is_synced(second.port)), description="the replica is in sync", timeout=30)
        self.sentinels = [Sentinel(first) for _ in range(3)]
        for sentinel in self.sentinels:
            sentinel.start()
        self.wait_until_whole()
        return self

    def wait_until_whole(self) -> None:
        """Wait until a failover would find everything in place."""
        wait_until_sync(
            lambda: all(holds(sentinel.knows_all) for sentinel in self.sentinels),
            description="the sentinels know each other and the replica",
            timeout=_FORMED,
        )

    def wait_for_failover(self, before: Server) -> None:
        """Wait until the other one is the master, and every sentinel names it."""
        other = next(server for server in self.servers if server is not before)
        wait_until_sync(lambda: is_master(other), description="it is promoted", timeout=_FORMED)
        wait_until_sync(
            lambda: all(sentinel.master_port == other.port for sentinel in self.sentinels),
            description="the sentinels name it",
            timeout=_FORMED,
        )

    def close(self) -> None:
        """End all."""
        for sentinel in self.sentinels:
            sentinel.close()
        for server in self.servers:
            server.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


def is_master(server: Server) -> bool:
    """Whether it says so itself; one that is frozen says nothing."""
    return holds(lambda: info(server.port, "replication").get("role") == "master")


NODE_TIMEOUT = 2.0
"""Seconds after which members of a cluster find one of them gone."""


class Cluster:
    """Three masters, each with a replica, or without any."""

    def __init__(self, kind: Kind = "redis", *, replicas: bool = True, settings: dict[str, str] | None = None) -> None:
        self._replicas = replicas
        wanted = {
            "cluster-enabled": "yes",
            "cluster-require-full-coverage": "no",
            "cluster-node-timeout": str(round(1000 * NODE_TIMEOUT)),
            "repl-diskless-sync-delay": "0",
            **(settings or {}),
        }
        self.servers = [
            Server(kind, aof=True, settings={**wanted, "cluster-port": str(free_port())})
            for _ in range(6 if replicas else 3)
        ]

    @property
    def url(self) -> str:
        """The address, by the first three members."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:3])

    def start(self) -> Self:
        """Start all, and wait until each master has its slots and a replica in sync."""
        for server in self.servers:
            server.start()
        self._meet()
        masters, replicas = self.servers[:3], self.servers[3:]
        for index, master in enumerate(masters):
            ask(master.port, "CLUSTER", "ADDSLOTSRANGE", 5462 * index, min(5462 * index + 5461, 16383))
        for master, replica in zip(masters, replicas, strict=False):
            name = ask(master.port, "CLUSTER", "MYID").decode()
            wait_until_sync(
                lambda replica=replica, name=name: holds(
                    lambda: ask(replica.port, "CLUSTER", "REPLICATE", name) in (True, b"OK")
                ),
                description="a replica knows its master",
                timeout=_FORMED,
            )
        self.wait_until_whole()
        return self

    def _meet(self) -> None:
        first, *others = self.servers
        for server in others:
            ask(first.port, "CLUSTER", "MEET", "127.0.0.1", server.port, server._settings["cluster-port"])
        wait_until_sync(
            lambda: all(
                ask(server.port, "CLUSTER INFO")["cluster_known_nodes"] == str(len(self.servers))
                for server in self.servers
            ),
            description="the members know each other",
            timeout=_FORMED,
        )

    def wait_until_whole(self) -> None:
        """Wait until all members serve, and each master has a replica in sync."""
        wait_until_sync(lambda: holds(self._is_whole), description="each master has a replica in sync", timeout=_FORMED)

    def _is_whole(self) -> bool:
        states = [info(server.port, "replication") for server in self.servers]
        roles = [state["role"] for state in states]
        return (
            roles.count("master") == 3
            and all(state.get("master_link_status", "up") == "up" for state in states)
            and all(state["connected_slaves"] == self._replicas for state in states if state["role"] == "master")
            and all(self._serves(server) for server in self.servers)
        )

    def _serves(self, server: Server) -> bool:
        state = ask(server.port, "CLUSTER INFO")
        nodes = ask(server.port, "CLUSTER NODES")
        faults = [row for row in nodes.values() if "fail" in row["flags"] or not row["connected"]]
        return state["cluster_state"] == "ok" and not faults

    def master_of(self, pool: str) -> Server:
        """The master that has a pool, as soon as the first member that answers knows one."""
        slot = int(self.ask_any("CLUSTER", "KEYSLOT", f"{{{pool}}}"))
        found = wait_until_sync(lambda: self._master_of(slot), description=f"a master has slot {slot}", timeout=30.0)
        assert found
        return found

    def _master_of(self, slot: int) -> Server | None:
        for first, last, (_, port, *_rest), *_replicas in self.ask_any("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == port)
        return None

    def replica_of(self, master: Server) -> Server:
        """A replica that follows a master."""
        return next(
            server
            for server in self.servers
            if server.is_running and info(server.port, "replication").get("master_port") == master.port
        )

    def masters(self) -> list[Server]:
        """All that say so."""
        return [server for server in self.servers if server.is_running and is_master(server)]

    def pools(self, count: int = 3) -> list[str]:
        """Names of pools that live on different masters, `default` first."""
        found: dict[int, str] = {}
        for name in ("default", *(f"pool-{n}" for n in range(200))):
            found.setdefault(self.master_of(name).port, name)
            if len(found) == count:
                return list(found.values())
        raise AssertionError("no such names")

    def ask_any(self, *words: str | int) -> Any:
        """Ask the first member that answers."""
        for server in self.servers:
            with contextlib.suppress(redis.RedisError, OSError):
                return ask(server.port, *words)
        raise AssertionError("no member answers")

    def close(self) -> None:
        """End all."""
        for server in self.servers:
            server.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()
