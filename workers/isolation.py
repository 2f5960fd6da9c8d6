"""Runs that were lost before get a child process of their own: if one of them kills its process, only it dies there.

The child (child.py) gets no Redis credentials. Its work comes in over stdin; the outcome goes back over an inherited
descriptor; it ends with this process. A child that dies without a word is one more crash of that run.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import anyio

from dispatcher import codec, tracing
from dispatcher.models import HandOff

from .children import clean_environment
from .contract import Outcome
from .outcomes import error_result

_CHILD = Path(__file__).with_name("child.py")


class Isolation:
    """Executes a function of an application, `package.module:attribute`, in a child process."""

    def __init__(self, app: str, app_dir: str) -> None:
        self._app, self._dir = app, app_dir

    async def execute(
        self, run: HandOff, name: str, parameters: dict[str, Any], retry: list[Any] | None, timeout: float | None,
        *, trace: str | None,
    ) -> Outcome:  # fmt: skip
        """The outcome of one attempt; 'lost' when the child died without one. Cancelling kills the child."""
        claim = [run.id, run.token, run.attempt]
        order = codec.pack([self._app, self._dir, name, parameters, retry, timeout, tracing.here(trace), claim])
        environment = {**clean_environment(), **tracing.trace_environment(trace)}
        reader, writer = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", str(_CHILD), str(writer), str(os.getpid()),
                stdin=asyncio.subprocess.PIPE, pass_fds=(writer,), start_new_session=True, env=environment,
            )  # fmt: skip
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        with os.fdopen(reader, "rb") as answers:
            return await self._outcome(process, order, answers)

    async def _outcome(self, process: asyncio.subprocess.Process, order: bytes, answers: Any) -> Outcome:
        try:
            _, answer = await asyncio.gather(process.communicate(order), asyncio.to_thread(answers.read))
        except BaseException:
            if process.returncode is None:
                process.kill()
            await _gone(process)
            if process.stdin:
                process.stdin.close()
            raise
        if not answer:
            code = process.returncode or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return Outcome("lost", "", error_result(f"its process died with {how}"))
        outcome, argument, result = codec.unpack(answer)
        return Outcome(outcome, argument, result)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Wait for its end, however often this is cancelled meanwhile: until then the run goes on."""
    waiting = asyncio.get_running_loop().create_task(process.wait())
    while not waiting.done():
        with contextlib.suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
            await asyncio.shield(waiting)
