"""Entrypoints of the tests of relays in containers, found as `relayed.py:name`."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from dispatcher import context


def add(a: int, b: int = 1) -> int:
    return a + b


def length(text: str) -> int:
    return len(text)


def writes(text: str) -> None:
    sys.stdout.write(text)


def floods(lines: int) -> str:
    for number in range(lines):
        print(f"line {number}")
    return "x" * 400_000


def asks(numbers: list[int]) -> int:
    runs = [context.blocking.publish("double", {"number": number}, pool="others") for number in numbers]
    return sum(context.blocking.result(run, keep_slots=True) for run in runs)


def waits_for_cancel() -> None:
    try:
        context.logger.info("ready")
        time.sleep(60)
    finally:
        context.logger.info("cleaned up")


def leaves_at_once(code: int) -> None:
    os._exit(code)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leaves_a_child() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    print(child.pid)


def says() -> None:
    print("printed")
    print("complained", file=sys.stderr)
    context.logger.warning("logged", count=2)


def knows(colour: str) -> dict[str, Any]:
    return {
        "run_id": context.run_id, "token": context.claim_token, "attempt": context.attempt,
        "parameters": dict(context.parameters), "deadline": context.deadline and context.deadline.isoformat(),
        "variables": {name: value for name, value in os.environ.items() if name.startswith("SLUICE_")},
    }  # fmt: skip


def raises() -> None:
    raise ValueError("no such luck")


def ticks(count: int) -> str:
    for number in range(count):
        print(f"tick {number}", flush=True)
        time.sleep(0.1)
    return "over"


def says_nonsense() -> None:
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\xff\xff\xff\xffrubbish")
        except OSError:
            continue
    time.sleep(60)
