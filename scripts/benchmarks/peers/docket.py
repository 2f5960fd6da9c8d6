"""docket: concurrency 100, no records of what is over (execution_ttl 0); BENCH_TUNED=1 checks every 5 ms, not 250.

Its pool of connections must be larger than redis-py's 100, or a worker of 100 slots runs out and leaves runs behind.
"""

import os
from datetime import UTC, datetime, timedelta

from docket import Docket, Worker

from benchmarks.program import BULK, Options, Recorder, main, payload, publishing, sending

OPTIONS = Options.read()
RECORDER = Recorder(OPTIONS.records)


async def record(number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
    """Record, nothing else."""
    RECORDER.record(number, sent_ns)


def make_docket() -> Docket:
    """Return the docket; no results are stored for a function that returns None."""
    return Docket(name="bench", url=f"{OPTIONS.url}?max_connections=5000", execution_ttl=timedelta(0))


async def bulk(docket: Docket, numbers: list[int]) -> None:
    """Publish in pipelines."""
    await docket.add_many([docket.call(record)(**payload(OPTIONS, number)) for number in numbers])


async def fill(options: Options) -> None:
    """Publish all runs in pipelines."""
    async with make_docket() as docket:
        docket.register(record)
        for at in range(0, options.runs, BULK):
            await bulk(docket, list(range(at, min(at + BULK, options.runs))))


async def publish(options: Options) -> dict[str, float]:
    """One awaited after the other, 50 at once, or pipelines."""
    async with make_docket() as docket:
        docket.register(record)
        return await publishing(
            options,
            lambda number: docket.add(record)(**payload(options, number)),
            lambda numbers: bulk(docket, numbers),
        )


async def send(options: Options) -> None:
    """Single runs, spaced, for now or for later."""
    async with make_docket() as docket:
        docket.register(record)

        async def one(number: int, sent_ns: int) -> None:
            when = datetime.now(UTC) + timedelta(milliseconds=options.delay_ms) if options.delay_ms else None
            await docket.add(record, when=when)(**payload(options, number, sent_ns))

        await sending(options, one)


async def worker(options: Options) -> None:
    """Its worker in our loop, so that it runs on uvloop."""
    often = timedelta(milliseconds=5)
    tuned = {"minimum_check_interval": often, "scheduling_resolution": often} if os.environ.get("BENCH_TUNED") else {}
    async with make_docket() as docket:
        docket.register(record)
        async with Worker(docket, concurrency=options.slots, **tuned) as working:
            await working.run_forever()


if __name__ == "__main__":
    main({"fill": fill, "publish": publish, "send": send, "worker": worker})
