"""A host with many workers, in one process: `host.py URL HOW-MANY OPTIONS`, the functions of witnessing.py."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import anyio

from workers import FunctionWorker, Worker, WorkerOptions
from workers.worker import run_worker


async def main(url: str, count: int, options: WorkerOptions) -> None:
    async with AsyncExitStack() as stack, anyio.create_task_group() as group:
        for _ in range(count):
            kind = FunctionWorker.for_app("witnessing:functions", str(Path(__file__).parent))
            worker = await stack.enter_async_context(Worker(url, kind, options))
            group.start_soon(run_worker, worker, anyio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), WorkerOptions(**json.loads(sys.argv[3]))))
