"""What the soak's workers execute: functions that write down, outside Sluice, when they began and ended."""

import asyncio
import os
import signal
import time
from pathlib import Path

from dispatcher import context
from workers import Functions

functions = Functions()


def note(kind: str) -> None:
    """Append `kind run token attempt pid ms` in one write, so that lines of several processes never mix."""
    claim = f"{context.run_id} {context.claim_token} {context.attempt}"
    line = f"{kind} {claim} {os.getpid()} {time.time_ns() // 1_000_000}\n"
    file = os.open(os.environ["SOAK_WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def leave(how: str) -> None:
    """Take the process along."""
    if how == "exit":
        os._exit(9)
    os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSEGV)


@functions.register
async def nap(seconds: float) -> str:
    """Wait; the answer is the run's own id."""
    note("start")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note("stop")
        raise
    note("end")
    return context.run_id


@functions.register
def grind(seconds: float) -> str:
    """Wait in a thread, which nobody can stop."""
    note("start")
    time.sleep(min(seconds, 1.0))
    note("end")
    return context.run_id


@functions.register
async def flaky(seconds: float, fails: int) -> str:
    """Fail in the first attempts."""
    note("start")
    await asyncio.sleep(seconds)
    if context.attempt <= fails:
        note("fail")
        raise RuntimeError("not yet")
    note("end")
    return context.run_id


@functions.register
async def fails(seconds: float) -> None:
    """Fail always."""
    note("start")
    await asyncio.sleep(seconds)
    note("fail")
    raise RuntimeError("never")


@functions.register
async def poison(seconds: float, how: str) -> None:
    """Kill the process in which it is."""
    note("start")
    await asyncio.sleep(seconds)
    leave(how)


def entrypoint(seconds: float) -> str:
    """The same as a process of its own."""
    note("start")
    time.sleep(seconds)
    note("end")
    return context.run_id


def vanishes(seconds: float, how: str) -> None:
    """A process that ends by itself."""
    note("start")
    time.sleep(seconds)
    leave(how)


HERE = Path(__file__)
COMMAND = """
say() { echo "$1 $SLUICE_RUN_ID $SLUICE_CLAIM_TOKEN $SLUICE_ATTEMPT $$ $(date +%s%3N)" >>"$SOAK_WITNESS"; }
say start; sleep "$1"; say end
"""
