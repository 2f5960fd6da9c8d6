"""Runs whose code writes to their log: it is whole when the run is over, whatever happens around it."""

import anyio
import redis

from dispatcher import Client, Published, RetryPolicy, RunState, context
from tests.support.proxy import FaultProxy
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions


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
        runs = await stack.client.publish_many([name_with(name, count) for count in range(50)])
        for count, run in enumerate(runs):
            await stack.client.result(run, 20)
            assert await read(stack.client, run) == [(level, text.format(number)) for number in range(count)]


def name_with(name: str, count: int):
    from dispatcher import Publish

    return Publish(name, {"count": count})


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


async def test_a_run_that_is_over_stays_over_when_its_worker_stops_while_its_log_is_written(stack: Stack) -> None:
    functions = Functions()
    ran: list[int] = []

    @functions.register
    async def work() -> str:
        context.logger.info("at work")
        ran.append(context.attempt)
        return "done"

    async with FaultProxy(stack.url) as proxy:
        worker = await stack.worker(functions, url=proxy.url)
        proxy.delay = 0.3
        run = await stack.client.publish("work")
        await wait_until(lambda: ran, description="the function has returned")
        worker.hand_back()
        await stack.worker(functions)
        assert await stack.client.result(run, 20) == "done"
    assert len(ran) == 1, "what has completed is not handed back"


async def test_a_run_that_is_over_is_no_cancelled_one_while_its_log_is_written(stack: Stack) -> None:
    functions = Functions()
    ran: list[int] = []

    @functions.register
    async def work() -> str:
        context.logger.info("at work")
        ran.append(context.attempt)
        return "done"

    async with FaultProxy(stack.url) as proxy:
        await stack.worker(functions, url=proxy.url)
        proxy.delay = 0.3
        run = await stack.client.publish("work")
        await wait_until(lambda: ran, description="the function has returned")
        await stack.client.cancel(run)
        with anyio.move_on_after(20):
            while not (found := await stack.client.get(run)).state.is_terminal:
                await anyio.lowlevel.checkpoint()
    assert found.state == RunState.COMPLETED
    assert await read(stack.client, run) == [("info", "at work")]


async def test_a_run_ends_although_its_log_cannot_be_written(stack: Stack) -> None:
    functions = Functions()

    @functions.register
    async def work() -> str:
        context.logger.info("at work")
        return "done"

    await stack.worker(functions)
    run = await stack.client.publish("work")
    await stack.client.result(run, 20)
    with redis.Redis.from_url(stack.url) as connection:
        key = f"sluice:{{default}}:log:{run.id}"
        other = await stack.client.publish("work", delay=3600)
        connection.set(f"sluice:{{default}}:log:{other.id}", "not a log")
        assert connection.exists(key) == 1
    assert await stack.client.cancel(other) == ["cancelled"]
