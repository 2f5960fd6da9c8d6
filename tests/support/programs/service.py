"""A service process of the tests: `service.py URL dispatcher|scheduler`. Says so when it serves."""

import asyncio
import sys
from functools import partial

import anyio

import dispatcher.service
import scheduler.service
from dispatcher.settings import read_settings

SERVICES = {"dispatcher": dispatcher.service.serve, "scheduler": scheduler.service.serve}


async def main(url: str, name: str) -> None:
    async with anyio.create_task_group() as group:
        await group.start(partial(SERVICES[name], read_settings({"redis_url": url, "tick_ms": 100})))
        print("serves", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
