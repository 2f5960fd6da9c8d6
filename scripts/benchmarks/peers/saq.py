"""SAQ: concurrency 100, results off (ttl -1), everything else as it comes."""

import asyncio
import time
from typing import Any

from saq import Queue, Worker

from benchmarks.program import AT_ONCE, Options, Recorder, main, payload, publishing, sending

_NO_RESULT = -1


async def fill(options: Options) -> None:
    """Publish all runs, fifty at once: its calls for many are loops."""
    queue = Queue.from_url(options.url)
    for at in range(0, options.runs, AT_ONCE):
        numbers = range(at, min(at + AT_ONCE, options.runs))
        await asyncio.gather(
            *(queue.enqueue("record", ttl=_NO_RESULT, **payload(options, number)) for number in numbers)
        )
    await queue.disconnect()


async def publish(options: Options) -> dict[str, float]:
    """One awaited after the other, or 50 at once."""
    queue = Queue.from_url(options.url)
    return await publishing(options, lambda number: queue.enqueue("record", ttl=_NO_RESULT, **payload(options, number)))


async def send(options: Options) -> None:
    """Single runs, spaced; later ones are set for a time in seconds, which may carry a fraction."""
    queue = Queue.from_url(options.url)

    async def one(number: int, sent_ns: int) -> None:
        later = {"scheduled": time.time() + options.delay_ms / 1_000} if options.delay_ms else {}
        await queue.enqueue("record", ttl=_NO_RESULT, **later, **payload(options, number, sent_ns))

    await sending(options, one)


async def worker(options: Options) -> None:
    """Its worker class in our loop, so that it runs on uvloop."""
    recorder = Recorder(options.records)

    async def record(_: Any, *, number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
        recorder.record(number, sent_ns)

    await Worker(Queue.from_url(options.url), [("record", record)], concurrency=options.slots).start()


if __name__ == "__main__":
    main({"fill": fill, "publish": publish, "send": send, "worker": worker})
