"""Celery on Redis: one process of 100 threads, results ignored as its guide advises, its own command as the worker.

Its prefork pool makes a process for every slot, so it cannot run 100 at once in one; the thread pool can.
"""

from celery import Celery

from benchmarks.program import Options, Recorder, main, payload, publishing, sending

OPTIONS = Options.read()
RECORDER = Recorder(OPTIONS.records)
app = Celery("bench", broker=OPTIONS.url)
app.conf.task_ignore_result = True


@app.task(name="record")
def record(number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
    """Record, nothing else."""
    RECORDER.record(number, sent_ns)


async def one(number: int, sent_ns: int = 0) -> None:
    """Publish one run; the client blocks."""
    later = {"countdown": OPTIONS.delay_ms / 1_000} if OPTIONS.delay_ms else {}
    record.apply_async(kwargs=payload(OPTIONS, number, sent_ns), **later)


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
