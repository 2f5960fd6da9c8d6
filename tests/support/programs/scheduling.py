"""A scheduler on the test's clock: `scheduling.py URL POOL`. The time is the pool's key `sluice-test:now`, in ms."""

import asyncio
import sys

import redis.asyncio

from dispatcher.clock import SystemClock
from dispatcher.store import Store
from scheduler.firing import Firing


async def main(url: str, pool: str) -> None:
    clock = SystemClock()
    async with Store(url) as store, redis.asyncio.Redis.from_url(url) as connection:
        firing = Firing(store, clock, 512 * 1024)
        while True:
            store.link.now_ms = int(await connection.get("sluice-test:now") or 0)
            await firing.fire_due(pool)
            await clock.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
