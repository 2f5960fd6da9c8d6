"""Waiting for a condition with a name: the only place of the tests that sleeps."""

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import anyio

T = TypeVar("T")

PATIENCE = 10.0
_INTERVAL = 0.005


async def wait_until(
    predicate: Callable[[], T | Awaitable[T]],
    *,
    description: str,
    timeout: float = PATIENCE,
    interval: float = _INTERVAL,
) -> T:
    """Ask the predicate (sync or async) until its answer is true, and return that answer.

    AssertionError with the description and the last answer after `timeout` seconds, also when the predicate itself
    hangs. What the predicate raises passes through.
    """
    answer: object = "no answer"
    with anyio.move_on_after(timeout):
        while True:
            given = predicate()
            answer = await given if inspect.isawaitable(given) else given
            if answer:
                return cast(T, answer)
            await anyio.sleep(interval)
    raise AssertionError(_never(description, timeout, answer))


async def let_pass(seconds: float) -> None:
    """Let real time go by, where the time itself is what is tested: an outage of so many seconds."""
    await anyio.sleep(seconds)


def wait_until_sync(
    predicate: Callable[[], T],
    *,
    description: str,
    timeout: float = PATIENCE,
    interval: float = _INTERVAL,
) -> T:
    """Do the same without an event loop; here a predicate that hangs is not interrupted."""
    end = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > end:
            raise AssertionError(_never(description, timeout, answer))
        time.sleep(interval)
    return answer


def _never(description: str, timeout: float, answer: object) -> str:
    return f"never came true in {timeout:g} s: {description} (last answer: {answer!r})"
