"""Entrypoints of the tests of process workers, found as `flows.py:name`."""

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from dispatcher import context


def add(a: int, b: int = 1) -> int:
    return a + b


async def add_later(a: int, b: int = 1) -> int:
    await anyio.sleep(0.01)
    return a + b


def knows() -> dict[str, Any]:
    deadline = context.deadline
    return {
        "run_id": context.run_id, "token": context.claim_token, "attempt": context.attempt,
        "pool": os.environ["SLUICE_POOL"],
        "parameters": dict(context.parameters), "deadline": deadline and deadline.isoformat(),
    }  # fmt: skip


def says() -> None:
    print("printed")
    print("complained", file=sys.stderr)
    context.logger.warning("logged", count=2)


def tells_progress(gate: str) -> None:
    context.progress(0.25, "a quarter")
    while not Path(gate).exists():
        time.sleep(0.01)


async def parent(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        run = await context.publish(
            None, {"a": number}, entrypoint="flows.py:add", job_variables={"working_dir": str(Path(__file__).parent)}
        )
        total += await context.result(run)
    return total


def blocking_parent(numbers: list[int]) -> int:
    folder = {"working_dir": str(Path(__file__).parent)}
    runs = [
        context.blocking.publish(None, {"a": number}, entrypoint="flows.py:add", job_variables=folder)
        for number in numbers
    ]
    return sum(context.blocking.result(run) for run in runs)


def refused() -> None:
    context.blocking.publish("f", colour="red")


def raises() -> None:
    raise ValueError("no such luck")


def exits(code: Any) -> None:
    sys.exit(code)


def leaves_at_once(code: int) -> None:
    os._exit(code)


def crashes() -> None:
    ctypes.string_at(0)


def kills_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def gives_what_cannot_be_kept() -> Any:
    return object()


def gives_too_much() -> str:
    return "x" * 2_000_000


def writes_rubbish_on_its_line() -> None:
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\x00\x00\x00\x05rubbi")
        except OSError:
            continue
    time.sleep(60)


def cleans_up(note: str) -> None:
    try:
        Path(note).write_text("began")
        time.sleep(60)
    finally:
        Path(note).write_text(f"cleaned up, cancelled: {context.is_cancelled}")


async def cleans_up_later(note: str) -> None:
    try:
        Path(note).write_text("began")
        await anyio.sleep(60)
    finally:
        Path(note).write_text(f"cleaned up, cancelled: {context.is_cancelled}")


def at_its_end(note: str) -> None:
    import atexit
    import threading

    atexit.register(lambda: Path(note).write_text(Path(note).read_text() + "atexit"))
    threading.Thread(target=lambda: (time.sleep(0.2), Path(note).write_text("thread "))).start()
    sys.stdout.write("not a whole line")


def environment() -> dict[str, str]:
    return dict(os.environ)


def open_descriptors() -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:
            continue
    return found
