"""The floor: a bare redis-py loop on a stream, no features; what is left when everything but the work is taken away."""

import asyncio
import os
from collections.abc import Iterable
from typing import Any, cast

import msgpack
from redis.asyncio import Redis

from benchmarks.harness import Programs
from benchmarks.program import BULK, Options, Recorder, main, payload, publishing, sending

FLOOR = Programs(
    name="floor",
    module="benchmarks.floor",
    scenarios=frozenset({"drain", "two-workers", "publish", "latency", "backlog", "memory"}),
    runs=100_000,
)

Value = bytes | bytearray | memoryview | str | int | float  # as redis-py types it
_STREAM, _GROUP = "floor", "workers"
_FILL = 1_000


def entry(options: Options, number: int, sent_ns: int = 0) -> dict[Value, Value]:
    """Return the stream entry of a run."""
    return {"p": cast(bytes, msgpack.packb(payload(options, number, sent_ns)))}


async def fill(options: Options) -> None:
    """Publish all runs in pipelines."""
    async with Redis.from_url(options.url) as redis:
        for at in range(0, options.runs, _FILL):
            await bulk(redis, options, range(at, min(at + _FILL, options.runs)))


async def bulk(redis: Redis, options: Options, numbers: Iterable[int]) -> None:
    """Publish in one round trip."""
    pipeline = redis.pipeline(transaction=False)
    for number in numbers:
        pipeline.xadd(_STREAM, entry(options, number))
    await pipeline.execute()


async def publish(options: Options) -> dict[str, float]:
    """Bare XADDs: awaited one by one, 50 at once over a pool of connections, pipelines of 100."""
    async with Redis.from_url(options.url) as redis:

        async def one(number: int) -> None:
            await redis.xadd(_STREAM, entry(options, number))

        return await publishing(options, one, lambda numbers: bulk(redis, options, numbers))


async def send(options: Options) -> None:
    """Single XADDs, spaced."""
    async with Redis.from_url(options.url) as redis:

        async def one(number: int, sent_ns: int) -> None:
            await redis.xadd(_STREAM, entry(options, number, sent_ns))

        await sending(options, one)


async def worker(options: Options) -> None:
    """Read up to 100, one task each, acknowledge and delete them in one pipeline, again."""
    recorder = Recorder(options.records)

    async def handle(body: bytes) -> None:
        run = msgpack.unpackb(body)
        recorder.record(run["number"], run["sent_ns"])

    # A blocking read outlasts redis-py's default socket timeout, so that is longer. RESP2 answers with a list.
    async with Redis.from_url(options.url, socket_timeout=10, protocol=2) as redis:
        await make_group(redis)
        while True:
            entries = await read(redis)
            async with asyncio.TaskGroup() as tasks:
                for _, fields in entries:
                    tasks.create_task(handle(fields[b"p"]))
            if entries:
                await remove(redis, [entry_id for entry_id, _ in entries])


async def read(redis: Redis) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return up to 100 new entries, none after 5 s without any."""
    answer: Any = await redis.xreadgroup(_GROUP, f"worker-{os.getpid()}", {_STREAM: ">"}, count=BULK, block=5_000)
    return answer[0][1] if answer else []


async def remove(redis: Redis, ids: list[bytes]) -> None:
    """Acknowledge and delete entries in one round trip."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.xack(_STREAM, _GROUP, *ids)
    pipeline.xdel(_STREAM, *ids)
    await pipeline.execute()


async def make_group(redis: Redis) -> None:
    """Create the consumer group at the start of the stream, unless another worker has."""
    try:
        await redis.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)
    except Exception as error:
        if "BUSYGROUP" not in str(error):
            raise


if __name__ == "__main__":
    main({"fill": fill, "publish": publish, "send": send, "worker": worker})
