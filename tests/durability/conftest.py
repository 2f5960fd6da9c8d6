"""A master with a replica that is in step."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest
import redis

from dispatcher import Client
from tests.support.servers import Server
from tests.support.waiting import wait_until_sync

TIMEOUT = 0.5
"""Seconds for which a hasty client waits for a replica that does not answer."""


class Pair(NamedTuple):
    """Two servers, the second one a copy of the first."""

    master: Server
    replica: Server

    def promote(self) -> None:
        """Make the replica a master, as Sentinel would."""
        assert self.replica.call("REPLICAOF", "NO", "ONE") == "+OK\r\n"


def replicate(master: Server, replica: Server) -> None:
    """Return when the replica is in step."""
    assert replica.call("REPLICAOF", "127.0.0.1", master.port) == "+OK\r\n"
    wait_for_replica(master)


def wait_for_replica(master: Server) -> None:
    """Return when the replica that was told of this master is in step."""
    master.call("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    with redis.Redis.from_url(master.url) as connection:
        connection.set("first", 1)
        wait_until_sync(lambda: connection.wait(1, 100), description="the replica is in step", timeout=30)


@pytest.fixture
def pair(request: pytest.FixtureRequest, new_server: Callable[..., Server]) -> Pair:
    """Two servers, master and replica; of Redis unless a test is parametrised with the kind."""
    kind = getattr(request, "param", "redis")
    found = Pair(new_server(kind), new_server(kind))
    replicate(*found)
    return found


@pytest.fixture
async def client(pair: Pair) -> AsyncIterator[Client]:
    """A client of the pair's master, with a pool `default`."""
    async with Client(pair.master.url, durability_timeout=30) as client:
        await client.pools.create("default")
        yield client


@pytest.fixture
async def hasty(pair: Pair, client: Client) -> AsyncIterator[Client]:
    """A client for publishes whose replica is frozen."""
    async with Client(pair.master.url, durability_timeout=TIMEOUT) as found:
        yield found
