"""taskiq with taskiq-redis' stream broker, as its documentation sets it up; BENCH_RESULTS=1 adds its result backend.

Runs in an environment of its own: of this package it imports only the standard library part.
"""

import asyncio
import os
from typing import Any

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.program import AT_ONCE, Options, Recorder, main, payload, publishing, sending

OPTIONS = Options.read()
RECORDER = Recorder(OPTIONS.records)


def make_broker() -> RedisStreamBroker:
    """Return the broker of the documentation's first example: every default, results only when asked for."""
    broker = RedisStreamBroker(url=OPTIONS.url)
    if os.environ.get("BENCH_RESULTS"):
        backend: RedisAsyncResultBackend[Any] = RedisAsyncResultBackend(redis_url=OPTIONS.url, result_ex_time=3_600)
        return broker.with_result_backend(backend)
    return broker


broker = make_broker()


@broker.task(task_name="record")
async def record(number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001
    """Record, nothing else."""
    RECORDER.record(number, sent_ns)


async def fill(options: Options) -> None:
    """Publish all runs, fifty at once: there is no call for many."""
    await broker.startup()
    for at in range(0, options.runs, AT_ONCE):
        numbers = range(at, min(at + AT_ONCE, options.runs))
        await asyncio.gather(*(record.kiq(**payload(options, number)) for number in numbers))
    await broker.shutdown()


async def publish(options: Options) -> dict[str, float]:
    """One awaited after the other, or 50 at once."""
    await broker.startup()
    figures = await publishing(options, lambda number: record.kiq(**payload(options, number)))
    await broker.shutdown()
    return figures


async def send(options: Options) -> None:
    """Single runs, spaced."""
    await broker.startup()
    await sending(options, lambda number, sent_ns: record.kiq(**payload(options, number, sent_ns)))
    await broker.shutdown()


if __name__ == "__main__":
    main({"fill": fill, "publish": publish, "send": send})
