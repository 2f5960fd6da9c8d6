"""What every program of a contender shares: its options, its recorder, its loop. Standard library only, for any venv.

A program is `python -m benchmarks.<module> <role>` with its options as JSON in BENCH_OPTIONS; it prints its result as
one line of JSON. The worker has no result: its handlers record.
"""

import asyncio
import json
import os
import random
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

RECORD = struct.Struct("<QQQ")  # number of the run, a time from its payload, the time in the handler; ns, 24 bytes
AT_ONCE = 50
BULK = 100
_WARM_UP = 200


@dataclass(frozen=True)
class Options:
    """What the scenario asks of a program. A fill publishes `runs`; the rest shapes them or the worker."""

    url: str
    records: str = ""
    runs: int = 0
    slots: int = 100  # of the worker
    padding: int = 0  # bytes in each payload
    mode: str = ""  # publish: one, at-once, bulk
    limit: int = 0  # chain, many-queues: what the pool lets run at once
    queues: int = 1  # fill spreads its runs over that many, each with a key of its own
    delay_ms: int = 0  # send: due that long after publishing (0: now)
    spacing_ms: float = 15.0  # send: mean time from one run to the next
    server_pid: int = 0

    @classmethod
    def read(cls) -> "Options":
        """Return what the parent process passed on."""
        return cls(**json.loads(os.environ["BENCH_OPTIONS"]))


class Recorder:
    """The body of every handler: one append of 24 bytes, 0.6 us, the same for all contenders."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def record(self, number: int, sent_ns: int) -> None:
        """Note that a run's handler ran, now. CLOCK_MONOTONIC is comparable between processes of one machine."""
        os.write(self._file, RECORD.pack(number, sent_ns, time.monotonic_ns()))


def payload(options: Options, number: int, sent_ns: int = 0) -> dict[str, Any]:
    """Return the parameters of a run: handlers take `number`, `sent_ns` and `padding`."""
    return {"number": number, "sent_ns": sent_ns, "padding": "x" * options.padding}


Roles = Mapping[str, Callable[[Options], Awaitable[Any]]]


def main(roles: Roles) -> None:
    """Run the role named on the command line, on uvloop where there is one, and print its result."""

    async def run() -> None:
        result = await roles[sys.argv[1]](Options.read())
        if result is not None:
            print(json.dumps(result))

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    return import_module("uvloop").new_event_loop if find_spec("uvloop") else None


async def publishing(
    options: Options, one: Callable[[int], Awaitable[Any]], bulk: Callable[[list[int]], Awaitable[Any]] | None = None
) -> dict[str, float]:
    """Time a publisher in one mode: one awaited after the other, waves of 50 at once, or calls of 100."""
    publish = {"one": _one_by_one(one), "at-once": _at_once(one), "bulk": bulk}[options.mode]
    assert publish is not None
    await publish(list(range(_WARM_UP)))
    began, used, served = time.monotonic(), time.process_time(), cpu_seconds(options.server_pid)
    step = BULK if options.mode == "bulk" else options.runs
    for at in range(0, options.runs, step):
        await publish(list(range(at, min(at + step, options.runs))))
    took = time.monotonic() - began
    return {
        "per_s": options.runs / took,
        "client_us": (time.process_time() - used) / options.runs * 1e6,
        "redis_us": (cpu_seconds(options.server_pid) - served) / options.runs * 1e6,
    }


def _one_by_one(one: Callable[[int], Awaitable[Any]]) -> Callable[[list[int]], Awaitable[None]]:
    async def publish(numbers: list[int]) -> None:
        for number in numbers:
            await one(number)

    return publish


def _at_once(one: Callable[[int], Awaitable[Any]]) -> Callable[[list[int]], Awaitable[None]]:
    async def publish(numbers: list[int]) -> None:
        for at in range(0, len(numbers), AT_ONCE):
            await asyncio.gather(*(one(number) for number in numbers[at : at + AT_ONCE]))

    return publish


async def sending(options: Options, one: Callable[[int, int], Awaitable[Any]]) -> None:
    """Publish single runs at irregular times; `one(number, ns)` gets the time now, or when the run is due."""
    dice = random.Random(1)
    for number in range(options.runs):
        await asyncio.sleep(options.spacing_ms * dice.uniform(0.67, 1.33) / 1000)
        await one(number, time.monotonic_ns() + options.delay_ms * 1_000_000)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, all threads, by Linux's process clock (ns; /proc counts ticks of 10 ms)."""
    return time.clock_gettime((~pid << 3) | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
