"""A worker process of the tests: `worker.py URL OPTIONS`, options as JSON. SIGTERM stops it, with its grace."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import anyio

from dispatcher import WorkerStuck
from workers import FunctionWorker, Worker, WorkerOptions
from workers.worker import run_worker


async def main(url: str, options: WorkerOptions) -> None:
    kind = FunctionWorker.for_app("witnessing:functions", str(Path(__file__).parent))
    drain = anyio.Event()
    async with Worker(url, kind, options) as worker:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, drain.set)
        try:
            await run_worker(worker, drain)
        except* WorkerStuck:
            os._exit(75)


if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    asyncio.run(
        main(sys.argv[1], WorkerOptions(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}))
    )
