"""Functions whose runs write down, outside Sluice, when they began and ended: one O_APPEND line each."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dispatcher import context
from workers import Functions

functions = Functions()


def note(kind: str, name: str) -> None:
    """Append `kind name pid ns`. The clock is that of the machine, the same for all its processes."""
    line = f"{kind} {name} {os.getpid()} {time.monotonic_ns()}\n"
    file = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@functions.register
async def work(name: str, seconds: float = 0.0) -> str:
    note("start", name)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note("stop", name)
        raise
    note("end", name)
    return name


@functions.register
async def wait_for_gate(name: str, gate: str) -> str:
    """Run until a file is there."""
    note("start", name)
    try:
        while not Path(gate).exists():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        note("stop", name)
        raise
    note("end", name)
    return name


@functions.register
def work_in_thread(name: str, seconds: float = 0.0) -> str:
    note("start", name)
    time.sleep(seconds)
    note("end", name)
    return name


@functions.register
def wait_for_gate_in_thread(name: str, gate: str) -> str:
    """Run until a file is there, whatever is asked meanwhile."""
    note("start", name)
    while not Path(gate).exists():
        time.sleep(0.01)
    note("end", name)
    return name


@functions.register
def end_when_asked(name: str) -> str:
    """Look now and then whether it is cancelled."""
    note("start", name)
    while not context.is_cancelled:
        time.sleep(0.01)
    note("end", name)
    return name


@functions.register
async def block_the_loop(name: str, seconds: float) -> str:
    note("start", name)
    time.sleep(seconds)  # noqa: ASYNC251 - what is tested
    note("end", name)
    return name


@functions.register
async def poison(name: str, how: str, seconds: float = 0.0) -> None:
    """Take the process along."""
    note("start", name)
    await asyncio.sleep(seconds)
    if how == "exit":
        os._exit(9)
    os.kill(os.getpid(), signal.SIGKILL)


@functions.register
async def environment() -> list[str]:
    return sorted(os.environ)


@functions.register
async def where() -> list[int]:
    return [os.getpid(), os.getppid()]


@functions.register
async def claim() -> list[str | int]:
    return [context.run_id, context.claim_token, context.attempt]


@functions.register
async def parent_at_second_sight(name: str, mark: str) -> str:
    """Take the process along the first time; then log, publish a child and wait for it."""
    note("start", name)
    if not Path(mark).exists():
        Path(mark).touch()
        os._exit(9)
    context.logger.info("here again")
    context.progress(0.5, "half")
    return await context.result(await context.publish("work", {"name": f"{name}-child"}))


@functions.register
async def chatter(name: str) -> str:
    """Write where a careless function writes, and start a program that outlives it."""
    note("start", name)
    sys.stdout.write("noise on stdout\n")
    subprocess.Popen(["sleep", "0.3"])  # noqa: ASYNC220 - what is tested
    note("end", name)
    return name
