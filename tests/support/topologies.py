"""Servers that stand in for one another: a master with a replica and three sentinels, on loopback."""

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
from .servers import Server, free_port, require
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
    with contextlib.closing(redis.Redis(port=port, socket_timeout=10)) as client:
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

    def __init__(self, master: Server) -> None:
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
                f"sentinel monitor sluice 127.0.0.1 {self._master.port} 2\n"
                f"sentinel down-after-milliseconds sluice {round(1000 * DOWN_AFTER)}\n"
                "sentinel failover-timeout sluice 4000\n"
            )
        self._child = Child([require("redis"), config, "--sentinel"], output=self._folder / "log", cwd=self._folder)
        wait_until_sync(lambda: holds(lambda: ask(self.port, "PING")), description="a sentinel answers", timeout=30)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._child:
            self._child.kill()

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

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
        """Wait until the other one is the master, and sentinels say so."""
        other = next(server for server in self.servers if server is not before)
        wait_until_sync(lambda: holds(lambda: is_master(other)), description="it is promoted", timeout=_FORMED)

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
    """Whether it says so itself."""
    return info(server.port, "replication").get("role") == "master"
