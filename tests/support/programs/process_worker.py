"""A process worker in a process of its own: `process_worker.py URL`, pool `processes`."""

import asyncio
import sys

import anyio

from workers import ProcessWorker, Worker, WorkerOptions
from workers.worker import run_worker


async def main(url: str) -> None:
    async with Worker(url, ProcessWorker(), WorkerOptions(pool="processes", lease=60)) as worker:
        await run_worker(worker, anyio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
