"""Sluice itself, with everything on: a pool limit, claim tokens, leases, events, results, the services beside it."""

from functools import partial

from benchmarks.durability import LEVELS
from benchmarks.harness import Programs
from benchmarks.program import Options, Recorder, main, payload, publishing, sending
from benchmarks.scenarios import SCENARIOS
from dispatcher import Client, Publish, RunOptions
from dispatcher.service import serve as dispatch
from dispatcher.settings import read_settings
from scheduler.service import serve as schedule
from workers import Functions, FunctionWorker, Worker, WorkerOptions

SLUICE = Programs(
    name="sluice",
    module="benchmarks.sluice",
    scenarios=frozenset(SCENARIOS),
    runs=60_000,
    services=("dispatcher", "scheduler"),
)
_POOL, _LIMIT = "bench", 1_000
_FILL = 10_000


def _options(options: Options, number: int) -> RunOptions | None:
    """With many queues each has a key of its own. Parked: one queue, as many buckets, which share a key of limit 1."""
    if options.queues == 1:
        return None
    which = number % options.queues
    if options.mode == "parked":
        return {"keys": [f"tenant:{which}", "shared:all"]}
    return {"queue": f"q{which}", "keys": [f"tenant:{which}"]}


async def _prepare(client: Client, options: Options) -> None:
    parked = options.mode == "parked"
    await client.pools.create(_POOL, limit=_LIMIT if parked else options.limit or _LIMIT, if_missing=True)
    if parked:
        await client.limits.set("shared:all", options.limit)


async def fill(options: Options) -> None:
    """Publish all runs in bulk."""
    async with Client(options.url, pool=_POOL) as client:
        await _prepare(client, options)
        for at in range(0, options.runs, _FILL):
            numbers = range(at, min(at + _FILL, options.runs))
            await client.publish_many(
                Publish("record", payload(options, number), _options(options, number)) for number in numbers
            )


async def publish(options: Options, durability: str = "fast") -> dict[str, float]:
    """Publish as clients do."""
    async with Client(options.url, pool=_POOL, durability=durability) as client:
        await _prepare(client, options)

        async def one(number: int) -> None:
            await client.publish("record", payload(options, number))

        async def bulk(numbers: list[int]) -> None:
            await client.publish_many([Publish("record", payload(options, number)) for number in numbers])

        return await publishing(options, one, bulk)


async def send(options: Options) -> None:
    """Publish single runs, for now or for later."""
    async with Client(options.url, pool=_POOL) as client:

        async def one(number: int, sent_ns: int) -> None:
            parameters = payload(options, number, sent_ns)
            if options.delay_ms:
                await client.publish("record", parameters, delay=options.delay_ms / 1000)
            else:
                await client.publish("record", parameters)

        await sending(options, one)


async def worker(options: Options) -> None:
    """A function worker with default settings."""
    recorder, functions = Recorder(options.records), Functions()

    @functions.register
    async def record(number: int, sent_ns: int, padding: str) -> None:  # noqa: ARG001 - it only weighs
        recorder.record(number, sent_ns)

    async with Worker(
        options.url, FunctionWorker(functions), WorkerOptions(pool=_POOL, limit=options.slots)
    ) as working:
        await working.run()


async def dispatcher(options: Options) -> None:
    """The dispatcher service."""
    await dispatch(read_settings({"redis_url": options.url}))


async def scheduler(options: Options) -> None:
    """The scheduler service."""
    await schedule(read_settings({"redis_url": options.url}))


if __name__ == "__main__":
    main(
        {
            "fill": fill,
            "publish": publish,
            **{f"publish-{level}": partial(publish, durability=level) for level in LEVELS},
            "send": send,
            "worker": worker,
            "dispatcher": dispatcher,
            "scheduler": scheduler,
        }
    )
