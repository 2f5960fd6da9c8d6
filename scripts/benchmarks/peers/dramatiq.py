"""dramatiq with its Redis broker: one process of 100 threads, no results middleware, its own command as the worker."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.program import Options, Recorder, main, payload, publishing, sending

OPTIONS = Options.read()
RECORDER = Recorder(OPTIONS.records)
broker = RedisBroker(url=OPTIONS.url)
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="record")
def record(number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
    """Record, nothing else."""
    RECORDER.record(number, sent_ns)


async def one(number: int, sent_ns: int = 0) -> None:
    """Publish one run; the client blocks."""
    record.send_with_options(kwargs=payload(OPTIONS, number, sent_ns), delay=OPTIONS.delay_ms or None)


async def fill(options: Options) -> None:
    """Publish all runs, one after the other: a group is a loop."""
    for number in range(options.runs):
        await one(number)


async def publish(options: Options) -> dict[str, float]:
    """One after the other."""
    return await publishing(options, one)


async def send(options: Options) -> None:
    """Single runs, spaced, for now or for later."""
    await sending(options, one)


if __name__ == "__main__":
    main({"fill": fill, "publish": publish, "send": send})
