"""What each level loses, measured: lost power, and a lost master whose replica is behind. `-s` shows the figures."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from dispatcher import Client, SluiceError
from dispatcher.store import Store
from tests.support.servers import Server
from tests.support.tunnel import Tunnel
from tests.support.waiting import wait_until

from .conftest import wait_for_replica
from .power import Powered

PUBLISHERS = 8


class Publishing:
    """Eight loops that publish one run after the other; `answered` is what was believed."""

    def __init__(self, url: str, level: str) -> None:
        self._client = Client(url, durability=level, durability_timeout=0.3)
        self.answered: list[str] = []

    async def __aenter__(self) -> Self:
        self._all = asyncio.gather(*(self._go_on() for _ in range(PUBLISHERS)), return_exceptions=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._all.cancel()
        with suppress(asyncio.CancelledError):
            await self._all
        await self._client.close()

    async def _go_on(self) -> None:
        while True:
            try:
                self.answered.append((await self._client.publish("f")).id)
            except SluiceError:
                await asyncio.sleep(0.01)

    async def more(self, number: int) -> None:
        """Return when so many more are answered."""
        wanted = len(self.answered) + number
        await wait_until(lambda: len(self.answered) >= wanted, description=f"{number} more are answered", timeout=60)


async def made_pool(url: str) -> None:
    async with Client(url) as client:
        await client.pools.create("default")


async def lost_of(url: str, answered: list[str]) -> list[str]:
    """Which of these runs are not there."""
    async with Store(url) as store:
        found = {run.id for run in await store.runs.get_many("default", answered)}
    return [run_id for run_id in answered if run_id not in found]


def tell(what: str, level: str, answered: int, lost: list[str]) -> None:
    print(f"\n{what}, {level}: {len(lost)} of {answered} lost", flush=True)


@contextmanager
def ended(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.close()


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("kind", "fsync", "level"),
    [
        ("valkey", "everysec", "fast"),
        ("valkey", "always", "fsync"),
        pytest.param("redis", "always", "fsync", marks=pytest.mark.redis),
        pytest.param("redis", "always", "fast", marks=pytest.mark.redis),
    ],
)
async def test_lost_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, fsync: str, level: str) -> None:
    powered = Powered(kind, {"appendfsync": fsync}, tmp_path, monkeypatch)
    with ended(powered.server) as server:
        await made_pool(server.url)
        await wait_until(lambda: powered.unsynced() == 0, description="the pool is on disk", timeout=30)
        async with Publishing(server.url, level) as publishing:
            await publishing.more(400)
            forgotten = powered.lose_power()
        lost = await lost_of(server.url, publishing.answered)
    tell(
        f"power lost, {kind} with appendfsync {fsync}, {forgotten:,} bytes forgotten",
        level,
        len(publishing.answered),
        lost,
    )
    if fsync == "always":
        assert lost == [], powered.places(lost)
    else:
        assert forgotten > 0, "nothing was at stake"
        assert lost


@pytest.mark.fault(16)
@pytest.mark.redis
@pytest.mark.parametrize("level", ["fast", "replicated"])
async def test_lost_master_with_a_replica_that_is_behind(level: str) -> None:
    with ended(Server("redis").start()) as master, ended(Server("redis").start()) as replica:
        with Tunnel(str(master.socket)) as tunnel:
            assert replica.call("REPLICAOF", "127.0.0.1", tunnel.address.rpartition(":")[2]) == "+OK\r\n"
            await asyncio.to_thread(wait_for_replica, master)
            await made_pool(master.url)
            async with Publishing(master.url, level) as publishing:
                await publishing.more(200)
                tunnel.refuse()
                if level == "fast":
                    await publishing.more(200)
                else:
                    await asyncio.sleep(1.0)
                master.kill()
            replica.call("REPLICAOF", "NO", "ONE")
        lost = await lost_of(replica.url, publishing.answered)
    tell("the master lost, its replica cut off before", level, len(publishing.answered), lost)
    assert lost == [] if level == "replicated" else len(lost) >= 200 - PUBLISHERS
