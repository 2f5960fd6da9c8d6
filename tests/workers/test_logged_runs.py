"""Runs whose code writes to their log: it is whole when the run is over, whatever happens around it."""

import asyncio

from dispatcher import Client, Publish, Published, RetryPolicy, context
from dispatcher.clock import SystemClock
from dispatcher.models import HandOff
from tests.support.proxy import FaultProxy
from tests.support.stack import Stack, running
from tests.support.waiting import wait_until
from workers import Functions
from workers.run_logs import LogWriter


async def read(client: Client, run: Published) -> list[tuple[str, str]]:
    return [(line.level, line.text) async for line in client.logs(run)]


async def test_who_sees_the_end_sees_the_log(stack: Stack) -> None:
    functions = Functions()

    @functions.register
    async def say(count: int) -> None:
        for number in range(count):
            context.logger.info("step", number=number)

    @functions.register
    def say_in_a_thread(count: int) -> None:
        for number in range(count):
            context.logger.warning(f"step {number}")

    await stack.worker(functions, limit=20)
    for name, level, text in (("say", "info", "step number={}"), ("say_in_a_thread", "warning", "step {}")):
        runs = await stack.client.publish_many([Publish(name, {"count": count}) for count in range(50)])
        for count, run in enumerate(runs):
            await stack.client.result(run, 20)
            assert await read(stack.client, run) == [(level, text.format(number)) for number in range(count)]


async def test_attempts_of_a_run_follow_each_other(stack: Stack) -> None:
    functions = Functions()

    @functions.register
    async def fail() -> None:
        context.logger.info(f"attempt {context.attempt}")
        if context.attempt < 3:
            raise ValueError(context.attempt)

    await stack.worker(functions)
    await stack.scheduler()
    run = await stack.client.publish("fail", retry=RetryPolicy(5, delay=0.01, jitter=0))
    await stack.client.result(run, 20)
    assert [text for _, text in await read(stack.client, run)] == ["attempt 1", "attempt 2", "attempt 3"]


async def test_a_loud_run_does_not_hold_up_its_worker(stack: Stack) -> None:
    functions = Functions()

    @functions.register
    def shout() -> None:
        for number in range(300_000):
            context.logger.info(f"line {number}")

    @functions.register
    async def quiet() -> str:
        return "done"

    await stack.worker(functions, limit=5)
    loud = await stack.client.publish("shout")
    for _ in range(20):
        assert await stack.client.result(await stack.client.publish("quiet"), 20) == "done"
    await stack.client.result(loud, 60)
    found = [line async for line in stack.client.logs(loud)]
    assert (len(found), found[-1].cut) == (10_001, 290_000)


class Slow:
    """A function that returns before its log is written: its worker is behind a proxy that holds back every reply."""

    def __init__(self) -> None:
        self.functions, self.ran = Functions(), list[int]()
        self.functions.register(self.work)

    async def work(self) -> str:
        context.logger.info("at work")
        self.ran.append(context.attempt)
        return "done"

    async def returned(self, proxy: FaultProxy, client: Client) -> Published:
        """Publish it; its function has returned, its end is not handed in."""
        proxy.delay = 0.3
        run = await client.publish("work")
        await wait_until(lambda: self.ran, description="the function has returned")
        return run


async def test_a_run_that_is_over_is_not_handed_back_while_its_log_is_written(redis_url: str) -> None:
    slow = Slow()
    async with FaultProxy(redis_url) as proxy, Client(redis_url) as client, running(proxy.url) as stack:
        worker = await stack.worker(slow.functions)
        run = await slow.returned(proxy, client)
        worker.hand_back()
        proxy.delay = 0.0
        await stack.worker(slow.functions)
        assert await client.result(run, 20) == "done"
        assert len(slow.ran) == 1
        assert await read(client, run) == [("info", "at work")]


async def test_a_run_that_is_over_is_no_cancelled_one_while_its_log_is_written(redis_url: str) -> None:
    slow = Slow()
    async with FaultProxy(redis_url) as proxy, Client(redis_url) as client, running(proxy.url) as stack:
        await stack.worker(slow.functions)
        run = await slow.returned(proxy, client)
        assert await client.cancel(run) == ["cancelling"]
        assert await client.result(run, 20) == "done"
        assert await read(client, run) == [("info", "at work")]
        proxy.delay = 0.0


async def test_a_flush_that_is_cancelled_is_over_and_raises_nothing(stack: Stack) -> None:
    run = await stack.client.publish("f")
    claim = HandOff(1, "1", 1, 0, run.id, b"")
    async with FaultProxy(stack.url) as proxy, Client(proxy.url) as client:
        proxy.black_hole()
        writer = LogWriter(client._store, "default", "w-1", SystemClock())
        writer.write(claim, "info", "nobody writes it")
        flushing = asyncio.get_running_loop().create_task(writer.flush(claim, 60))
        await wait_until(lambda: writer._logs[run.id, "1"].waiters, description="it waits")
        flushing.cancel()
        assert await asyncio.wait_for(flushing, 10) is False
