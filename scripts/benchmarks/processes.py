"""What a process run costs beside a bare child process, and what forking a loaded interpreter saves for entrypoints.

`python scripts/benchmarks/processes.py [RUNS]` in the environment of the tests. Rounds take turns; medians are printed.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import anyio

from dispatcher import Client, Published
from dispatcher.embedded import EmbeddedServer
from workers import ProcessWorker, Worker, WorkerOptions

ROUNDS, AT_ONCE = 5, 8
ADD = "def add(a: int, b: int = 1) -> int:\n    return a + b\n"
Measured = Callable[[], Awaitable[float]]


async def bare(runs: int, at_once: int) -> float:
    """Seconds a process: `true` by anyio.open_process, awaited, its output read."""
    left = iter(range(runs))

    async def some() -> None:
        for _ in left:
            async with await anyio.open_process(["true"], stdin=subprocess.DEVNULL) as process:
                await process.wait()

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return (time.perf_counter() - began) / runs


async def published(client: Client, runs: int, **options: object) -> float:
    """Seconds a run, from the publish of the first to the result of the last."""
    began = time.perf_counter()
    found: list[Published] = await asyncio.gather(*(client.publish(None, **options) for _ in range(runs)))
    await asyncio.gather(*(client.result(run) for run in found))
    return (time.perf_counter() - began) / runs


async def plain_start(folder: Path, runs: int, at_once: int) -> float:
    """Seconds an entrypoint, were each started as an interpreter that imports what bootstrap.py imports."""
    code = "import workers.bootstrap, sys; sys.path.insert(0, sys.argv[1]); import sums; sums.add(1)"
    left = iter(range(runs))

    async def some() -> None:
        for _ in left:
            words = [sys.executable, "-c", code, str(folder)]
            async with await anyio.open_process(words, stdin=subprocess.DEVNULL) as process:
                await process.wait()

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return (time.perf_counter() - began) / runs


async def main(runs: int) -> None:
    """Measure in rounds, print medians and ratios."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as place:
        folder = Path(place)
        (folder / "sums.py").write_text(ADD)
        async with EmbeddedServer(folder / "data") as server, Client(server.url, pool="processes") as client:
            await client.pools.create("processes", type="process")
            for at_once in (1, AT_ONCE):
                options = WorkerOptions(pool="processes", limit=at_once)
                async with Worker(server.url, ProcessWorker(), options) as worker:
                    working = asyncio.create_task(worker.run())
                    await report(client, folder, runs, at_once)
                    worker.drain()
                    await working


async def report(client: Client, folder: Path, runs: int, at_once: int) -> None:
    """One table: milliseconds a run with so many at once."""
    entrypoint = {"entrypoint": "sums.py:add", "job_variables": {"working_dir": str(folder)}}
    kinds: dict[str, Measured] = {
        "bare anyio.open_process of `true`": lambda: bare(runs, at_once),
        "process run of `true`": lambda: published(client, runs, command=["true"]),
        "interpreter started for an entrypoint": lambda: plain_start(folder, max(8, runs // 20), at_once),
        "process run of an entrypoint": lambda: entrypoints(client, runs, entrypoint),
    }
    figures: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind, measured in kinds.items():
            figures[kind].append(1000 * await measured())
    print(f"\n{at_once} at once, {runs} runs, median of {ROUNDS} rounds, ms a run (least to most)")
    for kind, row in figures.items():
        print(f"  {kind:<40}{median(row):8.2f}  ({min(row):.2f} to {max(row):.2f})")
    middle = [median(row) for row in figures.values()]
    print(f"  {'run / bare':<40}{middle[1] / middle[0]:8.2f}")
    print(f"  {'interpreter / entrypoint':<40}{middle[2] / middle[3]:8.2f}", flush=True)


async def entrypoints(client: Client, runs: int, entrypoint: dict[str, object]) -> float:
    """Seconds a run of a function of one line."""
    began = time.perf_counter()
    found = await asyncio.gather(*(client.publish(None, {"a": n}, **entrypoint) for n in range(runs)))
    await asyncio.gather(*(client.result(run) for run in found))
    return (time.perf_counter() - began) / runs


if __name__ == "__main__":
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} cores")
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 400))
