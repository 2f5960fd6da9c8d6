"""The second part of the demonstration: process runs, published by a program that is not Sluice."""

import subprocess
import sys
from pathlib import Path

import anyio

from dispatcher import Client, RunState

from .report import Line
from .stack import APP_DIR, Processes
from .witness import Witness

POOL, RUNS, LIMIT = "demo-processes", 40, 4
_PUBLISHER = Path(__file__).with_name("publisher.py")


async def begin(client: Client, processes: Processes) -> None:
    """Make the pool and start its worker."""
    await client.pools.create(POOL, type="process", limit=LIMIT)
    processes.sluice("worker", "start", "--pool", POOL, "--limit", str(2 * LIMIT), log=processes.log_of("processes"))


async def publish(url: str) -> None:
    """Let the other program publish."""
    words = [sys.executable, str(_PUBLISHER), url, POOL, str(APP_DIR), str(RUNS)]
    done = await anyio.run_process(words, check=False, stderr=subprocess.STDOUT)
    print(done.stdout.decode().strip())
    done.check_returncode()


async def are_over(client: Client) -> bool:
    """Whether all of them have ended."""
    return len(await client.list(pool=POOL, limit=2 * RUNS, states=["completed", "failed", "crashed"])) >= RUNS


async def lines(client: Client, log: Path) -> list[Line]:
    """What came of them, counted from what they wrote themselves."""
    witness, ended = Witness.read(log), Witness.read(log).ended
    runs = await client.list(pool=POOL, limit=2 * RUNS)
    completed = sum(run.state == RunState.COMPLETED for run in runs)
    rejected = await client.intake.rejected.list(pool=POOL)
    most = witness.most_at_once((0, 0), lambda _: True)
    logged = [[line async for line in client.logs(run.id, pool=POOL)] for run in runs]
    lost, doubled = sum(not ended[number] for number in range(RUNS)), sum(count > 1 for count in ended.values())
    reason = rejected[0].reason if rejected else "none"
    return [
        Line("process runs published by plain XADD", f"completed {completed}", f"completed {RUNS}", completed == RUNS),
        Line("process runs: lost, ended twice", f"{lost}, {doubled}", "0, 0", lost + doubled == 0),
        Line("process runs: most at once", str(most), f"<= {LIMIT}", 0 < most <= LIMIT),
        Line("process runs with a log", str(sum(map(bool, logged))), str(RUNS), all(logged)),
        Line("entry that is no run", reason[:24], "rejected: colour", len(rejected) == 1 and "colour" in reason),
    ]
