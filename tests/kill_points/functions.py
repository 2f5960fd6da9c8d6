"""What the runs of these tests do."""

import asyncio
import threading

from dispatcher import context
from workers import Functions

IDS = tuple(f"run-{number:028d}" for number in range(16))
functions = Functions()
deaf = threading.Event()
"""Set in a process whose plain functions cannot be ended."""
_never = threading.Event()


@functions.register
async def quick() -> str:
    """Return at once."""
    return context.run_id


@functions.register
async def chatty() -> None:
    """Write its log and tell its progress, for as long as both are handed on now and then."""
    context.logger.info("here")
    context.progress(0.5, "half")
    await asyncio.sleep(0.8)
    context.logger.info("there")


@functions.register
async def flaky() -> None:
    """Fail, whatever the attempt."""
    raise ValueError(context.attempt)


@functions.register
async def child() -> int:
    """Take longer than its parent waits with its slots kept."""
    await asyncio.sleep(0.2)
    return 1


@functions.register
async def parent() -> int:
    """Have a child in another pool, and wait for one in this, without slots meanwhile."""
    await context.publish("quick", pool="other", run_id=IDS[7], delay=3600)
    return await context.result(await context.publish("child"), 60)


@functions.register
async def endless() -> None:
    """Go on until it is cancelled."""
    await asyncio.sleep(600)


@functions.register
def stubborn() -> None:
    """Go on until it is asked to end, and beyond that where nobody listens."""
    while deaf.is_set() or not context.is_cancelled:
        _never.wait(0.02)
