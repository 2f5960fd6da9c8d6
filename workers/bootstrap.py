"""The process's side of an entrypoint: load the user's code, call it, tell how it ended. Runs in a fork (keeper.py).

The facts of a run, first on its line: entrypoint, folder, run_id, pool, token, attempt, parameters, deadline_ms, retry,
traceparent.

The user's modules may have the names of ours (dispatcher/entrypoints/loading.py): nothing here is imported later.
"""

import asyncio
import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from dispatcher import tracing
from dispatcher.entrypoints.loading import NotThere, load
from dispatcher.errors import InvalidInput
from dispatcher.running import RunView, enter_process

from .contract import Outcome
from .functions import Functions, Handler
from .line import ProcessEnd
from .outcomes import error_result, failure, finished


class Terminated(BaseException):
    """SIGTERM came while plain code ran: it may clean up, then it goes."""


def run_entrypoint(descriptor: int) -> int:
    """Run the entrypoint that the line names, to the end of this process; its exit code."""
    line = ProcessEnd(socket.socket(fileno=descriptor))
    for number, name in ((1, "stdout"), (2, "stderr")):  # those of the program that was forked know another file
        setattr(sys, name, open(number, "w", buffering=1, errors="backslashreplace", closefd=False))  # noqa: SIM115
    facts = line.first()
    view = RunView(
        facts["run_id"], facts["pool"], facts["token"], facts["attempt"], facts["parameters"], facts["deadline_ms"],
        line, facts.get("traceparent"), line.cancelled,
    )  # fmt: skip
    enter_process(view)
    outcome, code = _attempt(facts, line.cancelled)
    _leave()
    if outcome is not None:
        line.end(*outcome)
    return code


def _attempt(facts: dict[str, Any], cancelled: threading.Event) -> tuple[Outcome | None, int]:
    """How it ended and the exit code; without an outcome, the exit code says it."""
    retry, attempt = facts["retry"], facts["attempt"]
    try:
        handler = _load(facts["entrypoint"], Path(facts["folder"]))
    except NotThere as error:
        return Outcome("failed", "not_found", error_result(str(error))), 0
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything, SystemExit too
        return Outcome("failed", "import_failed", error_result(error)), 0
    try:
        args, kwargs = handler.arguments(facts["parameters"])
    except InvalidInput as error:
        return Outcome("failed", "invalid_parameters", error_result(str(error))), 0
    tracing.enter(facts.get("traceparent"))
    try:
        return finished(_call(handler, args, kwargs, cancelled)), 0
    except Terminated:
        _die_of_sigterm()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        return None, code
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
        return failure(retry, attempt, "raised", error), 0


def _call(handler: Handler, args: tuple[Any, ...], kwargs: dict[str, Any], cancelled: threading.Event) -> Any:
    """Call it. SIGTERM sets `cancelled`, before word of it comes over the line, and ends what it does."""
    if not handler.is_async:

        def terminate(*_: object) -> None:
            cancelled.set()
            raise Terminated

        signal.signal(signal.SIGTERM, terminate)
        return handler.function(*args, **kwargs)

    async def main() -> Any:
        task = asyncio.current_task()

        def cancel() -> None:
            cancelled.set()
            if task:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, cancel)
        try:
            return await handler.function(*args, **kwargs)
        except asyncio.CancelledError as error:
            raise Terminated from error

    return asyncio.run(main())


def _die_of_sigterm() -> NoReturn:
    """End as a process without a handler would, after its own cleaning up."""
    _leave()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(143)


def _leave() -> None:
    """What an interpreter does at its end: a fork of another program's would skip it."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - joins the user's threads, there is no other way
        atexit._run_exitfuncs()  # noqa: SLF001 - see above
        sys.stdout.flush()
        sys.stderr.flush()


def _load(entrypoint: str, folder: Path) -> Handler:
    registry = Functions()
    registry.register(name=entrypoint)(load(entrypoint, folder))
    handler = registry.get(entrypoint)
    assert handler is not None  # noqa: S101 - registered a line ago
    return handler
