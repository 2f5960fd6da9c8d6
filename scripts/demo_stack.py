"""The demonstration: 400 runs, three queues, limits, two workers, one of them killed; then what the runs wrote down.

Beside them a process worker executes commands and Python entrypoints that a program without Sluice published, and two
schedulers share a deployment that is due every second.

What is counted comes from lines that the runs append to a file (examples/demo/tasks.py). Sluice executes a run again
when its worker dies before the end was reported, so the kill waits for a moment at which every end that was written has
been reported: then no run may end twice.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
from demonstration import processes as by_process
from demonstration import scheduled
from demonstration.load import POOL, WORKER_LIMIT, Planned, prepare, publish
from demonstration.report import Facts, Line, lines, table
from demonstration.stack import Processes
from demonstration.witness import Witness

from dispatcher import Client, RunState
from dispatcher.embedded import EmbeddedServer

RUNS = 400
LEASE = 3.0
PATIENCE = 60.0
KILL_AT = 0.4


class Progress:
    """One line that is rewritten on a terminal, and written once a second elsewhere."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def show(self, witness: Witness, note: str) -> None:
        """Say how far it is."""
        now = time.monotonic()
        done, running = len(witness.ended), len(witness.running())
        bar = f"{'#' * (done * 30 // RUNS):<30}"
        text = f"{now - self._began:5.1f} s  {bar}  {done:>3} of {RUNS} ended, {running:>2} started  {note}"
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text}", end="", flush=True)
        elif now - self._last >= 1 or done == RUNS:
            self._last = now
            print(text, flush=True)


async def kill_one(client: Client, plans: list[Planned], pid: int, log: Path) -> tuple[int, int, float] | None:
    """Freeze the worker; kill it if all that it ended is reported and it is at work, else let it go on."""
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)  # noqa: ASYNC222 - short; before it, threads of the worker may still write
    witness = Witness.read(log)
    recent = time.monotonic_ns() - 2_000_000_000
    ended = [attempt.number for attempt in witness.attempts if attempt.pid == pid and attempt.end_ns > recent]
    runs = [await client.get(plans[number].run_id) for number in ended]
    if len(witness.running(pid)) >= 3 and all(run.state.is_terminal for run in runs):
        os.kill(pid, signal.SIGKILL)
        return pid, time.monotonic_ns(), time.time()
    os.kill(pid, signal.SIGCONT)
    return None


async def follow(client: Client, plans: list[Planned], processes: Processes, victim: int) -> tuple[int, int, float]:
    """Show progress until all runs have ended; kill the victim on the way. Returns its pid and when, by both clocks."""
    progress, killed = Progress(), (0, 0, 0.0)
    while True:
        witness = Witness.read(processes.log)
        progress.show(witness, f"worker {killed[0]} killed" if killed[0] else "")
        if len(witness.ended) == RUNS:
            return killed
        if not killed[0] and len(witness.ended) >= RUNS * KILL_AT:
            killed = await kill_one(client, plans, victim, processes.log) or killed
            processes.killed = killed[0]
        processes.check()
        await anyio.sleep(0.1)


async def until(answer: Callable[[], Awaitable[bool]], processes: Processes) -> None:
    """Ask until the answer is yes. Raises RuntimeError when a process ends meanwhile."""
    while True:
        if await answer():
            return
        processes.check()
        await anyio.sleep(0.05)


async def is_settled(client: Client) -> bool:
    """Tell whether the last ends are reported."""
    return not (await client.pools.get(POOL)).running


async def are_there(client: Client, workers: int) -> bool:
    """Tell whether so many workers have joined."""
    return len(await client.workers.list()) >= workers


async def demonstrate(folder: Path) -> list[Line]:
    """Run it all in a folder; what was promised and seen. Raises TimeoutError when it takes too long."""
    async with EmbeddedServer(folder / "server") as server, Client(server.url, pool=POOL) as client:
        print(f"embedded {server.server.kind}, dispatcher, two schedulers, four workers; {RUNS} runs")
        with Processes(server.url, folder) as processes:
            processes.sluice("dispatcher", "start")
            processes.sluice("scheduler", "start")
            await prepare(client)
            await by_process.begin(client, processes)
            scheduled.begin(processes)
            start = ("worker", "start", "--pool", POOL, "--app", "tasks:functions", "--lease", f"{LEASE:g}s")
            workers = [
                processes.sluice(*start, "--limit", str(WORKER_LIMIT), "--name", name) for name in ("one", "two")
            ]
            with anyio.fail_after(PATIENCE):
                await until(partial(are_there, client, len(workers)), processes)
                await until(partial(scheduled.is_ready, client), processes)
                await scheduled.deploy(processes)
                await by_process.publish(server.url)
                plans = await publish(client, RUNS)
                pid, at_ns, at = await follow(client, plans, processes, workers[1].pid)
                await until(partial(is_settled, client), processes)
                await until(partial(by_process.are_over, client), processes)
                await until(partial(scheduled.has_run, client), processes)
            runs = await client.list(limit=2 * RUNS, states=list(RunState))
            facts = Facts(plans, runs, Witness.read(folder / "witness.log"), (pid, at_ns), at, LEASE)
            log = processes.log_of("processes")
            return [*lines(facts), *await by_process.lines(client, log), *await scheduled.lines(client)]


def main() -> int:
    """Run the demonstration; 1 when something promised does not hold."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as folder:
        found = anyio.run(demonstrate, Path(folder))
    print(f"\n\n{table(found)}\n\n{time.monotonic() - began:.1f} s")
    return 0 if all(line.holds for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
