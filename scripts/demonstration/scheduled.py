"""The third part of the demonstration: a deployment from a file, due every second; two schedulers share it."""

from itertools import pairwise

import anyio

from dispatcher import Client, RunState

from .report import Line
from .stack import APP_DIR, Processes

POOL, LEAST, LATE = "demo-schedules", 3, 5.0


def begin(processes: Processes) -> None:
    """Start a worker and a second scheduler."""
    processes.sluice("worker", "start", "--pool", POOL, "--type", "process")
    processes.sluice("scheduler", "start")


async def is_ready(client: Client) -> bool:
    """Whether the worker is there."""
    return POOL in {pool.name for pool in await client.pools.list()} and bool(await client.workers.list(pool=POOL))


async def deploy(processes: Processes) -> None:
    """Apply the file."""
    await anyio.to_thread.run_sync(processes.sluice("deploy", str(APP_DIR / "sluice.yaml")).wait)
    processes.forget_ended()


async def has_run(client: Client) -> bool:
    """Whether it ran a few times."""
    return len(await client.list(pool=POOL, states=["completed"])) >= LEAST


async def lines(client: Client) -> list[Line]:
    """Whether each of its instants has its run, once, and how late the latest was."""
    await client.deployments.pause("tick")
    runs = await client.list(pool=POOL, limit=200)
    at = sorted(run.spec.at or 0 for run in runs)
    missed = sum((later - earlier) // 1000 - 1 for earlier, later in pairwise(at) if later > earlier)
    doubled = len(at) - len(set(at))
    late = max((run.admitted_at.timestamp() * 1000 - (run.spec.at or 0) for run in runs if run.admitted_at), default=0)
    completed = sum(run.state is RunState.COMPLETED for run in runs)
    return [
        Line("instants of a schedule", f"{len(at)}, {completed} completed", f">= {LEAST}", completed >= LEAST),
        Line("instants: missed, doubled", f"{missed}, {doubled}", "0, 0", missed + doubled == 0),
        Line("instants: latest start", f"{late / 1000:.3f} s", f"<= {LATE:g} s", 0 <= late <= 1000 * LATE),
    ]
