"""arq: at most 100 jobs at once, results off; BENCH_TUNED=1 looks for work every 5 ms where the default is 500."""

import asyncio
import os
from datetime import timedelta
from typing import Any

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker, func

from benchmarks.program import AT_ONCE, Options, Recorder, main, payload, publishing, sending


async def connect(options: Options) -> ArqRedis:
    """Return a connection pool as producers make it."""
    return await create_pool(RedisSettings.from_dsn(options.url))


async def fill(options: Options) -> None:
    """Publish all runs, fifty at once: there is no call for many."""
    redis = await connect(options)
    for at in range(0, options.runs, AT_ONCE):
        numbers = range(at, min(at + AT_ONCE, options.runs))
        await asyncio.gather(*(redis.enqueue_job("record", **payload(options, number)) for number in numbers))
    await redis.aclose()


async def publish(options: Options) -> dict[str, float]:
    """One awaited after the other, or 50 at once."""
    redis = await connect(options)
    return await publishing(options, lambda number: redis.enqueue_job("record", **payload(options, number)))


async def send(options: Options) -> None:
    """Single runs, spaced, for now or for later."""
    redis = await connect(options)
    later = timedelta(milliseconds=options.delay_ms) if options.delay_ms else None
    await sending(
        options, lambda number, ns: redis.enqueue_job("record", _defer_by=later, **payload(options, number, ns))
    )


async def worker(options: Options) -> None:
    """Its worker class in our loop, so that it runs on uvloop."""
    recorder = Recorder(options.records)
    tuned = {"poll_delay": 0.005, "queue_read_limit": 2_000} if os.environ.get("BENCH_TUNED") else {}

    async def record(_: Any, number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
        recorder.record(number, sent_ns)

    settings = RedisSettings.from_dsn(options.url)
    functions = [func(record, name="record", keep_result=0)]
    await Worker(functions, redis_settings=settings, max_jobs=options.slots, **tuned).async_run()


if __name__ == "__main__":
    main({"fill": fill, "publish": publish, "send": send, "worker": worker})
