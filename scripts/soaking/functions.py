"""What the soak's workers execute: functions that write down, outside Sluice, when they began and ended."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from dispatcher import RunFailed, context
from dispatcher.errors import NotDurable, RunNotFound, ServerUnfit
from workers import Functions

functions = Functions()


def note(kind: str, run: str = "") -> None:
    """Append `kind run token attempt pid ms` in one write, so that lines of several processes never mix.

    A parent names its child as the run; the token is the parent's own.
    """
    claim = f"{run or context.run_id} {context.claim_token} {context.attempt}"
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


Child = tuple[str, str, dict[str, Any], dict[str, Any]]
"""Run id, function, parameters, options."""


@functions.register
async def gathers(children: Sequence[Child]) -> str:
    """Publish runs and wait for one after the other, without slots meanwhile. Tried again, it means the same runs."""
    note("start")
    try:
        for run_id, name, parameters, options in children:
            await _born(lambda: context.publish(name, parameters, run_id=run_id, **options))  # noqa: B023 - awaited
            note("born", run_id)
        for run_id, *_ in children:
            _tell(run_id, await _settled(context.result(run_id)))
    except BaseException:
        note("stop")
        raise
    note("end")
    return context.run_id


async def _born(publish: Callable[[], Awaitable[object]]) -> None:
    """Publish until it is as durable as was asked: the same run id is the same run."""
    while True:
        try:
            await publish()
        except (NotDurable, ServerUnfit):
            await asyncio.sleep(0.2)
        else:
            return


async def _settled(result: Awaitable[Any]) -> Any:
    try:
        return await result
    except (RunFailed, RunNotFound) as error:
        return error


def _tell(run_id: str, result: object) -> None:
    """What became of a child: `got` its own result, `missed` one that did not complete, or what must not be."""
    if isinstance(result, RunFailed):
        note("missed", run_id)
    else:
        note("got" if result == run_id else "gone" if isinstance(result, RunNotFound) else "wrong", run_id)


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


def gathers_beside(children: Sequence[Child], pool: str) -> str:
    """The same as a process of its own, whose children are in another pool."""
    note("start")
    for run_id, name, parameters, options in children:
        while True:
            try:
                context.blocking.publish(name, parameters, pool=pool, run_id=run_id, **options)
            except (NotDurable, ServerUnfit):
                time.sleep(0.2)
            else:
                break
        note("born", run_id)
    for run_id, *_ in children:
        try:
            result = context.blocking.result(run_id, pool=pool)
        except (RunFailed, RunNotFound) as error:
            result = error
        _tell(run_id, result)
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
