"""Following runs: results, failures, timeouts, and one blocking connection for all of it."""

import time

import anyio
import pytest
import redis

from dispatcher import Client, ResultTimeout, RunFailed, RunNotFound
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions

functions = Functions()
gates: dict[str, anyio.Event] = {}


@functions.register
async def echo(value: object) -> object:
    return value


@functions.register
async def gated(name: str) -> str:
    await gates.setdefault(name, anyio.Event()).wait()
    return name


@functions.register
async def fail(text: str) -> None:
    raise ValueError(text)


async def test_results_of_all_kinds_and_sizes(stack: Stack) -> None:
    await stack.worker(functions)
    for value in (None, 0, "", "ä", [1, {"a": None}], b"\x00", 1.5, "x" * 100_000, 2**63):
        assert await stack.client.result(await stack.client.publish("echo", {"value": value}), timeout=5) == value


async def test_a_result_is_there_before_and_after_the_end(stack: Stack) -> None:
    published = await stack.client.publish("echo", {"value": 1})
    results = []

    async def wait() -> None:
        results.append(await stack.client.result(published))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        group.start_soon(wait)
        await stack.worker(functions)
    assert results == [1, 1]
    assert await stack.client.result(published.id) == 1
    async with Client(stack.url) as other:
        assert await other.result(published) == 1


async def test_a_failure_says_what_happened(stack: Stack) -> None:
    await stack.worker(functions)
    published = await stack.client.publish("fail", {"text": "no such order"})
    with pytest.raises(RunFailed, match="ended as failed .raised.: ValueError: no such order") as caught:
        await stack.client.result(published, timeout=5)
    assert (caught.value.run_id, caught.value.state, caught.value.reason) == (published.id, "failed", "raised")
    assert (await stack.client.get(published)).error == "ValueError: no such order"


async def test_a_cancelled_run_has_no_result(stack: Stack) -> None:
    published = await stack.client.publish("echo")
    async with anyio.create_task_group() as group:
        group.start_soon(expect_cancelled, stack.client, published)
        await wait_until(lambda: connections(stack.url, "xread"), description="the client waits")
        await stack.client.cancel(published)


async def expect_cancelled(client: Client, run: object) -> None:
    with pytest.raises(RunFailed, match=r"ended as cancelled \(asked\)"):
        await client.result(run, timeout=5)


async def test_waiting_has_an_end(stack: Stack) -> None:
    published = await stack.client.publish("echo", {"value": 5})
    with pytest.raises(ResultTimeout, match="it goes on"):
        await stack.client.result(published, timeout=0.05)
    with pytest.raises(RunNotFound):
        await stack.client.result("0" * 32)
    await stack.worker(functions)
    assert await stack.client.result(published, timeout=5) == 5


async def test_one_who_gives_up_does_not_deafen_another(stack: Stack) -> None:
    await stack.worker(functions)
    published = await stack.client.publish("gated", {"name": "deaf"})
    async with anyio.create_task_group() as group:
        waited: list[float] = []

        async def wait() -> None:
            await stack.client.result(published)
            waited.append(time.monotonic())

        group.start_soon(wait)
        with pytest.raises(ResultTimeout):
            await stack.client.result(published, timeout=0.1)
        opened = time.monotonic()
        gates["deaf"].set()
    assert waited[0] - opened < 2  # told at once; a lost line would be asked for after ten seconds


async def test_any_number_of_waits_costs_one_blocking_connection(stack: Stack) -> None:
    await stack.client.pools.create("other")
    runs = [await stack.client.publish("gated", {"name": "many"}, keys=[f"n:{n}"]) for n in range(150)]
    elsewhere = await stack.client.publish("echo", {"value": 1}, pool="other")
    results = []

    async def wait(run: object) -> None:
        results.append(await stack.client.result(run, timeout=20))

    async with anyio.create_task_group() as group:
        for run in (*runs, elsewhere):
            group.start_soon(wait, run)
        await wait_until(lambda: connections(stack.url, "xread") == 1, description="the client waits")
        assert connections(stack.url) <= 4  # reads, scripts, waiting; ours is not counted
        gates.setdefault("many", anyio.Event()).set()
        await stack.worker(functions, limit=200)
        await stack.worker(functions, pool="other")
    assert sorted(map(str, results)) == ["1", *["many"] * 150]


def connections(url: str, command: str = "") -> int:
    """How many clients are connected, or are in this command; without the one that asks."""
    with redis.Redis.from_url(url) as connection:
        own = connection.client_id()
        found = [row for row in connection.client_list() if int(row["id"]) != own]
    return sum(1 for row in found if row["cmd"].startswith(command))


async def test_results_survive_a_lost_reply_stream(stack: Stack) -> None:
    """The record is the truth: a client whose stream is gone asks again."""
    from dispatcher.client import waiting

    published = await stack.client.publish("gated", {"name": "lost"})
    await stack.worker(functions)
    before = waiting.ASK_AGAIN_SECONDS
    waiting.ASK_AGAIN_SECONDS = 0.3
    try:
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                assert await stack.client.result(published, timeout=10) == "lost"

            group.start_soon(wait)
            await wait_until(lambda: connections(stack.url, "xread") >= 2, description="the client waits")
            await wait_until(lambda: "lost" in gates, description="the run runs")
            with redis.Redis.from_url(stack.url) as connection:
                await wait_until(
                    lambda: connection.delete(f"sluice:{{default}}:listeners:{published.id}"),
                    description="nobody listens",
                )
            gates["lost"].set()
    finally:
        waiting.ASK_AGAIN_SECONDS = before
