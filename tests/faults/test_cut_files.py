"""The append-only file of a server that was killed ends anywhere: whatever it loses, it loses whole scripts."""

import random
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from dispatcher.auditing import audit_pool
from dispatcher.store import Store
from tests.support.figures import Figures
from tests.support.servers import Server
from tests.support.stack import Stack, running
from tests.support.waiting import wait_until
from workers import Functions

CUTS = 40
FILE = "appendonlydir/appendonly.aof.1.incr.aof"


async def work(stack: Stack) -> None:
    """Something of everything: keys, limits, delays, retries, cancels, a worker that ends runs."""
    functions = Functions()

    @functions.register
    async def work(n: int) -> int:
        if n % 7 == 0:
            raise ValueError(n)
        return n

    await stack.dispatcher()
    await stack.scheduler()
    await stack.client.pools.update("default", limit=3)
    await stack.client.limits.set("k:*", 2)
    waiting = [await stack.client.publish("work", {"n": n}, delay=3600) for n in range(5)]
    runs = [
        await stack.client.publish(
            "work", {"n": n}, keys=[f"k:{n % 3}"], delay=0.02 * (n % 4), retries=1, queue=f"q{n % 2}"
        )
        for n in range(60)
    ]
    worker = await stack.worker(functions, limit=4)

    async def all_over() -> bool:
        return all([(await stack.client.get(run)).state.is_terminal for run in runs])

    await wait_until(all_over, description="all are over", timeout=60)
    await stack.client.cancel(waiting[0])
    worker.drain()
    await wait_until(lambda: worker._is_over, description="the worker has left")


def places(size: int) -> list[int]:
    """Where it is cut: anywhere, also near the end."""
    chosen = random.Random(14)
    return sorted({*chosen.sample(range(size // 50, size), CUTS - 3), size - 1, size - 7, size})


@pytest.mark.redis
@pytest.mark.fault(14)
async def test_wherever_the_file_ends_nothing_is_half_done(
    new_server: Callable[..., Server], tmp_path: Path, figures: Figures
) -> None:
    server = new_server("redis", aof=True, settings={"appendfsync": "always", "auto-aof-rewrite-percentage": "0"})
    async with running(server.url) as stack:
        await work(stack)
    server.kill()
    kept = tmp_path / "kept"
    shutil.copytree(server.folder / "appendonlydir", kept / "appendonlydir")
    size = (kept / FILE).stat().st_size
    found = set()
    for place in places(size):
        with ExitStack() as this_one:
            cut = Server("redis", aof=True)
            shutil.copytree(kept / "appendonlydir", cut.folder / "appendonlydir")
            with (cut.folder / FILE).open("r+b") as file:
                file.truncate(place)
            this_one.enter_context(cut)
            found.add(await events(cut, place))
    figures.note("places at which the file was cut", len(places(size)), "")
    assert len(found) > CUTS / 4, "it is cut at different moments"


async def events(cut: Server, place: int) -> int:
    """How many scripts have told what they did; AssertionError when anything is half done."""
    with redis.Redis.from_url(cut.url) as connection:
        count = connection.xlen("sluice:{default}:events")
    async with Store(cut.url) as store:
        for pool in await store.pools.names():
            report = await audit_pool(store.audit, pool)
            assert [str(one) for one in report.violations] == [], f"cut at byte {place}"
        await store.care.tick("default")
    return count
