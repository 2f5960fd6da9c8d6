"""Runs that were lost before get a child process of their own: if one of them kills its process, only it dies there.

The child (child.py) gets no Redis credentials. It has a line to this process (line.py): its work comes in there, its
outcome goes back, and its code logs and publishes over it as it would here. It ends with this process. A child that
dies without a word is one more crash of that run.
"""

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import anyio

from dispatcher import tracing
from dispatcher.models import HandOff

from .children import clean_environment
from .contract import Outcome
from .outcomes import error_result
from .served import LineService
from .services import RunServices

_CHILD = Path(__file__).with_name("child.py")


class Isolation:
    """Executes a function of an application, `package.module:attribute`, in a child process."""

    def __init__(self, app: str, app_dir: str) -> None:
        self._app, self._dir = app, app_dir

    async def execute(
        self, run: HandOff, name: str, parameters: dict[str, Any], retry: list[Any] | None, timeout: float | None,
        *, trace: str | None, services: RunServices,
    ) -> Outcome:  # fmt: skip
        """The outcome of one attempt; 'lost' when the child died without one. Cancelling kills the child."""
        facts = {
            "app": self._app, "folder": self._dir, "function": name, "parameters": parameters, "retry": retry,
            "timeout": timeout, "run_id": run.id, "token": run.token, "attempt": run.attempt, "pool": services.pool,
            "traceparent": tracing.here(trace),
        }  # fmt: skip
        environment = {**clean_environment(), **tracing.trace_environment(trace)}
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", str(_CHILD), str(theirs.fileno()), str(os.getpid()),
                    stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True,
                    env=environment,
                )  # fmt: skip
            line = LineService(ours, services)
            try:
                line.begin(facts)
                return await _outcome(process, line)
            finally:
                with anyio.CancelScope(shield=True):
                    await line.close()


async def _outcome(process: asyncio.subprocess.Process, line: LineService) -> Outcome:
    try:
        await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
        await _gone(process)
        raise
    await line.read_to_the_end()
    if line.told is not None:
        return line.told
    code = process.returncode or 0
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Outcome("lost", "", error_result(f"its process died with {how}"))


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Wait for its end, however often this is cancelled meanwhile: until then the run goes on."""
    waiting = asyncio.get_running_loop().create_task(process.wait())
    while not waiting.done():
        with contextlib.suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
            await asyncio.shield(waiting)
