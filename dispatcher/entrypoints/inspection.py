"""What an entrypoint takes, asked of a Python process of its own: the user's code is imported there, never here.

The child (child.py) has a process group, which is killed when it has answered or its time is over. It gets no settings
of Sluice and no credentials of Redis, and what it prints is thrown away.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..redaction import hide_passwords, without_controls
from .loading import split

SECONDS = 30.0
_AT_ONCE = 4
_CHILD = Path(__file__).with_name("child.py")
_HIDDEN = ("SLUICE_", "REDIS")


class Inspected(NamedTuple):
    """What was found: a schema, if its types have one, or a fault.

    `elsewhere`: it is not on this machine, and `fault` says what is missing.
    """

    schema: dict[str, Any] | None = None
    fault: str = ""
    elsewhere: bool = False


class Question(NamedTuple):
    """An entrypoint and the folder that it is seen from."""

    entrypoint: str
    folder: Path


def folder_of(entrypoint: str, folders: Sequence[Path]) -> Path | None:
    """The first of the folders that has its file or module; for a module that is in none, the last that is there."""
    where, _ = split(entrypoint)
    there = [folder.absolute() for folder in folders if folder.is_dir()]
    if where.endswith(".py"):
        return next((folder for folder in there if (folder / where).is_file()), None)
    top = where.partition(".")[0]
    having = (folder for folder in there if (folder / top).is_dir() or (folder / f"{top}.py").is_file())
    return next(having, there[-1] if there else None)


async def inspect_all(
    questions: Iterable[Question], environment: Mapping[str, str], *, timeout: float = SECONDS
) -> dict[Question, Inspected]:
    """Inspect each once, four at a time; `timeout` seconds for each. Cancelling ends the children."""
    turns = asyncio.Semaphore(_AT_ONCE)
    wanted = list(dict.fromkeys(questions))

    async def one(question: Question) -> Inspected:
        async with turns:
            return await inspect_entrypoint(*question, environment, timeout=timeout)

    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))


async def inspect_entrypoint(
    entrypoint: str, folder: Path, environment: Mapping[str, str], *, timeout: float = SECONDS
) -> Inspected:
    """Import it in a child process with this environment, seen from `folder`; raises nothing for what it does."""
    with tempfile.TemporaryFile() as answer:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-B", str(_CHILD), entrypoint, str(folder), str(answer.fileno()), str(os.getpid()),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(answer.fileno(),), cwd=folder, env=_clean(environment), start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(timeout):
                await process.wait()
        except TimeoutError:
            return _read(answer) or Inspected(fault=f"{entrypoint}: its import took longer than {timeout:g} s")
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return _read(answer) or Inspected(fault=_died(entrypoint, process.returncode or 0))


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what is Sluice's and Redis's. Sets have one order, so that the same code has the same schema."""
    kept = {name: value for name, value in environment.items() if not name.startswith(_HIDDEN)}
    return {**kept, "PYTHONHASHSEED": "0"}


def _read(answer: IO[bytes]) -> Inspected | None:
    """The answer, None when there is none: it is there when its line is complete."""
    answer.seek(0)
    text = answer.read()
    if not text.endswith(b"\n"):
        return None
    try:
        found = json.loads(text)
        fault = without_controls(hide_passwords(found.get("fault", "")))
        return Inspected(found.get("schema"), fault, found.get("elsewhere", False))
    except (ValueError, AttributeError):  # the user's code wrote into it
        return None


def _died(entrypoint: str, code: int) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended itself with exit code {code}"
    return f"{entrypoint}: its process {how} while it was imported"
