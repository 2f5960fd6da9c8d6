"""The child's side of inspection.py, started by path: one entrypoint is imported, what it takes is told, then the end.

The answer is JSON in a file that was inherited: what the code prints is no part of it. One of `schema` (null when
there is none) and `fault`; with `elsewhere`, the code may be on another machine.
"""

import atexit
import contextlib
import ctypes
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from dispatcher.entrypoints.loading import NotThere, load, split
from dispatcher.entrypoints.tracing import place_of, said_by

try:
    from dispatcher.entrypoints.schema import parameter_schema
except ImportError:  # without pydantic no schema is made
    parameter_schema = None  # type: ignore[assignment]

HINT = ' (code that is not for importing belongs below `if __name__ == "__main__":`)'


def _end_with_parent(parent: int) -> None:
    """Die when the command dies; it may have died before we asked."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _answer(entrypoint: str, folder: Path) -> dict[str, Any]:
    where, name = split(entrypoint)
    try:
        function = load(entrypoint, folder)
    except NotThere as error:
        return {"fault": str(error), "elsewhere": error.elsewhere}
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything, SystemExit too
        hint = HINT if isinstance(error, SystemExit) else ""
        return {"fault": f"{where} cannot be imported: {place_of(error, folder)}{said_by(error)}{hint}"}
    if parameter_schema is None:
        return {"schema": None}
    warnings.simplefilter("ignore")
    try:
        text = json.dumps(parameter_schema(function))
        return {"schema": json.loads(text, parse_constant=lambda _: None)}  # a default of nan equals nothing
    except Exception as error:  # noqa: BLE001 - types of the user say themselves what they are
        return {"fault": f"{where}: the parameters of {name} cannot be read: {said_by(error)}"}


def main() -> None:
    """Inspect, write the answer to the descriptor given, and do what an interpreter does at its end."""
    entrypoint, folder, descriptor, parent = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    _end_with_parent(parent)
    os.set_inheritable(descriptor, False)
    sys.argv[1:] = []
    os.write(descriptor, json.dumps(_answer(entrypoint, folder)).encode() + b"\n")
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - temporary files of the user's; threads are not waited for
    os._exit(0)


if __name__ == "__main__":
    main()
