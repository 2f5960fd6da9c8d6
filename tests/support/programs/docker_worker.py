"""A docker worker in a process of its own: `docker_worker.py URL POOL`."""

import asyncio
import sys

import anyio

from workers import Worker, WorkerOptions
from workers.docker import DockerWorker
from workers.worker import run_worker


async def main(url: str, pool: str) -> None:
    async with Worker(url, DockerWorker(), WorkerOptions(pool=pool, lease=2.0)) as worker:
        await run_worker(worker, anyio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
