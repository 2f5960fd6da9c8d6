"""huey on Redis: 100 greenlets, as its guide advises for many at once; results off; its own command as the worker."""

from importlib import import_module

from huey import RedisHuey

from benchmarks.program import Options, Recorder, main, payload, publishing, sending

OPTIONS = Options.read()
RECORDER = Recorder(OPTIONS.records)
huey = RedisHuey("bench", url=OPTIONS.url, results=False)


@huey.task(name="record")
def record(number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
    """Record, nothing else."""
    RECORDER.record(number, sent_ns)


async def one(number: int, sent_ns: int = 0) -> None:
    """Publish one run; the client blocks."""
    parameters = payload(OPTIONS, number, sent_ns)
    if OPTIONS.delay_ms:
        record.schedule(kwargs=parameters, delay=OPTIONS.delay_ms / 1_000)
    else:
        record(**parameters)


async def fill(options: Options) -> None:
    """Publish all runs, one after the other: there is no call for many."""
    for number in range(options.runs):
        await one(number)


async def publish(options: Options) -> dict[str, float]:
    """One after the other."""
    return await publishing(options, one)


async def send(options: Options) -> None:
    """Single runs, spaced, for now or for later."""
    await sending(options, one)


if __name__ == "__main__":
    # huey names what it stores after the module, so publish from the module of the worker, not from __main__.
    own = import_module("benchmarks.peers.huey")
    main({"fill": own.fill, "publish": own.publish, "send": own.send})
