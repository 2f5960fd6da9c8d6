"""streaQ: concurrency 100, results off (ttl 0), everything else as it comes."""

from datetime import timedelta
from typing import Any

from streaq import Worker

from benchmarks.program import BULK, Options, Recorder, main, payload, publishing, sending

OPTIONS = Options.read()
RECORDER = Recorder(OPTIONS.records)
streaq: Worker[Any] = Worker(redis_url=OPTIONS.url, concurrency=OPTIONS.slots)


@streaq.task(name="record", ttl=0, silent=True)
async def record(number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
    """Record, nothing else."""
    RECORDER.record(number, sent_ns)


async def one(number: int, sent_ns: int = 0) -> None:
    """Publish one run, for now or for later."""
    later = timedelta(milliseconds=OPTIONS.delay_ms) if OPTIONS.delay_ms else None
    await record.enqueue(**payload(OPTIONS, number, sent_ns)).start(delay=later)


async def bulk(numbers: list[int]) -> None:
    """Publish in one pipeline."""
    await streaq.enqueue_many([record.enqueue(**payload(OPTIONS, number)) for number in numbers])


async def fill(options: Options) -> None:
    """Publish all runs in pipelines."""
    async with streaq:
        for at in range(0, options.runs, BULK):
            await bulk(list(range(at, min(at + BULK, options.runs))))


async def publish(options: Options) -> dict[str, float]:
    """One awaited after the other, 50 at once, or pipelines."""
    async with streaq:
        return await publishing(options, one, bulk)


async def send(options: Options) -> None:
    """Single runs, spaced."""
    async with streaq:
        await sending(options, one)


async def worker(_: Options) -> None:
    """Its worker in our loop, so that it runs on uvloop."""
    await streaq.run_async()


if __name__ == "__main__":
    main({"fill": fill, "publish": publish, "send": send, "worker": worker})
