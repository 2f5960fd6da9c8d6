"""Logs of runs as workers write them: caps, counts, resends, older claims, a server that is away, full or slow."""

import asyncio
import itertools
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
import redis

from dispatcher import Client, LogLine
from dispatcher.clock import SystemClock
from dispatcher.models import HandOff
from tests.support.proxy import FaultProxy
from tests.support.servers import EVERY_KIND, Server
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import run_logs
from workers.log_lines import LOG_BYTES, LOG_LINES
from workers.run_logs import LogWriter

TOKEN = 1_700_000_000_000


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[LogWriter]:
    """A log writer with its loop running."""
    async with Client(url) as client:
        writer = LogWriter(client._store, "default", "w-1", SystemClock())
        loop = asyncio.get_running_loop().create_task(writer.run())
        try:
            yield writer
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)


@pytest.fixture
async def writer(stack: Stack) -> AsyncIterator[LogWriter]:
    async with writing(stack.url) as writer:
        yield writer


async def claim(client: Client, token: int = TOKEN) -> HandOff:
    """A claim of a new run."""
    run = await client.publish("f")
    return HandOff(1, str(token), 1, 0, run.id, b"")


async def lines(client: Client, run: HandOff) -> list[LogLine]:
    return [line async for line in client.logs(run.id)]


async def texts(client: Client, run: HandOff) -> list[str]:
    return [line.text for line in await lines(client, run)]


async def test_a_line_has_time_level_and_text(stack: Stack, writer: LogWriter) -> None:
    run = await claim(stack.client)
    before = time.time()
    writer.write(run, "warning", "low on ink\n")
    writer.write(run, "noise", "is told as info")
    writer.write(run, "critical", "")
    assert await writer.flush(run)
    found = await lines(stack.client, run)
    assert [(line.level, line.text) for line in found] == [
        ("warning", "low on ink"), ("info", "is told as info"), ("error", ""),
    ]  # fmt: skip
    assert all(before - 1 < line.at.timestamp() < time.time() + 1 for line in found)


async def test_what_a_text_may_be(stack: Stack, writer: LogWriter) -> None:
    run = await claim(stack.client)
    for text in ("a\r\nb\n\nc", "\x1b[31mred\x00", "half \ud800 of a pair", "ä" * 10_000, "redis://me:secret@host/0"):
        writer.write(run, "info", text)
    await writer.flush(run)
    assert await texts(stack.client, run) == [
        "a", "b", "", "c", "\x1b[31mred\x00", "half ? of a pair", "ä" * 8_192, "ä" * 1_808, "redis://me:***@host/0",
    ]  # fmt: skip


@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)
async def test_a_log_keeps_exactly_ten_thousand_lines(stack: Stack, writer: LogWriter) -> None:
    run = await claim(stack.client)
    for number in range(LOG_LINES - 1):
        writer.write(run, "info", str(number))
        if number % 777 == 0:
            await writer.flush(run)
    await writer.flush(run)
    assert (await lines(stack.client, run))[-1].cut == 0
    writer.write(run, "info", "the last one\none too many\nanother")
    await writer.flush(run)
    found = await lines(stack.client, run)
    assert len(found) == LOG_LINES + 1
    assert [line.text for line in found[-2:]] == ["the last one", "... 2 lines cut"]
    assert (found[-1].level, found[-1].cut) == ("cut", 2)


async def test_a_log_keeps_exactly_a_megabyte(stack: Stack, writer: LogWriter) -> None:
    run = await claim(stack.client)
    for _ in range(LOG_BYTES // 1_000 - 1):
        writer.write(run, "info", "ä" * 500)
        await anyio.lowlevel.checkpoint()
    writer.write(run, "info", "x" * 999)
    writer.write(run, "info", "12")
    writer.write(run, "info", "1")
    await writer.flush(run)
    found = await lines(stack.client, run)
    assert sum(len(line.text.encode()) for line in found[:-1]) == LOG_BYTES - 1
    assert found[-1].cut == 2, "what comes after a line that was cut is cut too"
    writer.write(run, "info", "1")
    await writer.flush(run)
    assert (await lines(stack.client, run))[-1].cut == 3


async def test_a_million_lines_keep_the_caps_and_the_memory(stack: Stack, writer: LogWriter) -> None:
    run, quiet = await claim(stack.client), await claim(stack.client)

    def shout() -> None:
        for number in range(1_000_000):
            writer.write(run, "info", f"line {number}")

    began = time.monotonic()
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, shout)
        writer.write(quiet, "info", "between")
        assert await writer.flush(quiet, 10), "a loud run does not hold up the others"
    assert await writer.flush(run, 10)
    took = time.monotonic() - began
    found = await lines(stack.client, run)
    assert [line.text for line in found[:-1]] == [f"line {number}" for number in range(LOG_LINES)]
    assert found[-1].cut == 1_000_000 - LOG_LINES
    assert took < 30
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.memory_usage(f"sluice:{{default}}:log:{run.id}") < 600_000
    assert not writer._logs, "nothing is kept of a run whose log was flushed"


async def test_many_runs_at_once_are_written_in_few_calls(stack: Stack, writer: LogWriter) -> None:
    runs = [await claim(stack.client) for _ in range(200)]
    before = writer._sequence
    for number, run in itertools.product(range(5), runs):
        writer.write(run, "info", f"{number} of {run.id}")
    for run in runs:
        assert await writer.flush(run)
    for run in runs:
        assert await texts(stack.client, run) == [f"{number} of {run.id}" for number in range(5)]
    assert writer._sequence - before <= len(runs) * 2


async def test_a_run_that_says_nothing_costs_no_call(stack: Stack, writer: LogWriter) -> None:
    run = await claim(stack.client)
    before = writer._sequence
    assert await writer.flush(run)
    assert writer._sequence == before
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.keys("*:log:*") == []


async def test_a_lost_reply_doubles_nothing(stack: Stack) -> None:
    run = await claim(stack.client)
    async with FaultProxy(stack.url) as proxy, writing(proxy.url) as writer:
        for number in range(5):
            fault = proxy.lose_reply(run.id.encode())
            writer.write(run, "info", f"line {number}")
            assert await writer.flush(run, 10)
            assert fault.happened.is_set()
        for number in range(LOG_LINES):
            writer.write(run, "info", str(number))
        proxy.lose_reply(run.id.encode(), nth=20)  # the one that is cut
        assert await writer.flush(run, 10)
    found = await lines(stack.client, run)
    assert [line.text for line in found[:6]] == ["line 0", "line 1", "line 2", "line 3", "line 4", "0"]
    assert len(found) == LOG_LINES + 1
    assert found[-1].cut == 5


@pytest.mark.fault(49)
async def test_an_older_claim_writes_no_more_once_a_later_one_has(stack: Stack, writer: LogWriter) -> None:
    older = await claim(stack.client)
    later = older._replace(token=str(TOKEN + 1), attempt=2)
    for number, run in enumerate((older, older, later, older, later)):
        writer.write(run, "info", f"{number} of attempt {run.attempt}")
        await writer.flush(run)
    assert await texts(stack.client, older) == ["0 of attempt 1", "1 of attempt 1", "2 of attempt 2", "4 of attempt 2"]


async def test_a_run_that_is_forgotten_gets_no_log(stack: Stack, writer: LogWriter) -> None:
    run = await claim(stack.client)
    writer.write(run, "info", "while it is known")
    await writer.flush(run)
    await stack.client.cancel(run.id)
    log = f"sluice:{{default}}:log:{run.id}"
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.exists(log) == 1
        connection.set("sluice:{default}:test-clock", 1)
        await stack.client.pools.update("default", retention_ms=1)
        stack.client._store.link.now_ms = int(time.time() * 1000) + 600_000
        assert (await stack.client._store.care.retain("default"))[0] == 1
        assert connection.exists(log) == 0
        writer.write(run, "info", "much later")
        writer.write(run, "info", "and later")
        assert await writer.flush(run)
        assert connection.exists(log) == 0
    assert not writer._logs


@pytest.mark.fault(12)
async def test_lines_wait_while_the_server_is_away(stack: Stack) -> None:
    run = await claim(stack.client)
    async with FaultProxy(stack.url) as proxy, writing(proxy.url) as writer:
        writer.write(run, "info", "before")
        await writer.flush(run)
        proxy.refuse()
        writer.write(run, "info", "meanwhile")
        began = time.monotonic()
        assert not await writer.flush(run, 0.3)
        assert time.monotonic() - began < 5, "the end of a run is not held up"
        writer.write(run, "info", "later")
        proxy.restore()
        assert await writer.flush(run, 20)
    assert await texts(stack.client, run) == ["before", "meanwhile", "later"]


@pytest.mark.fault(13)
async def test_what_is_too_much_while_the_server_is_away_is_counted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "MOST_LINES", 1_000)
    run, other = await claim(stack.client), await claim(stack.client)
    async with FaultProxy(stack.url) as proxy, writing(proxy.url) as writer:
        proxy.refuse()
        for number in range(3_000):
            writer.write(run, "info", str(number))
        writer.write(other, "info", "nothing of it fits")
        assert not await writer.flush(run, 0.1)
        proxy.restore()
        assert await writer.flush(run, 20)
        assert await writer.flush(other, 20)
        writer.write(run, "info", "and on")
        assert await writer.flush(run, 20)
    found = await lines(stack.client, run)
    assert [line.text for line in found] == [*map(str, range(1_000)), "... 2,000 lines cut", "and on"]
    assert [line.cut for line in await lines(stack.client, other)] == [1]


async def test_a_server_without_room_is_not_waited_for(new_server: Callable[..., Server]) -> None:
    server = new_server("valkey")
    async with Client(server.url) as client, writing(server.url) as writer:
        await client.pools.create("default")
        run = await claim(client)
        writer.write(run, "info", "before")
        assert await writer.flush(run)
        with redis.Redis.from_url(server.url) as connection:
            connection.config_set("maxmemory", "1mb")
            writer.write(run, "info", "lost")
            began = time.monotonic()
            assert not await writer.flush(run, 30)
            assert not await writer.flush(run, 30)
            assert time.monotonic() - began < 10
            connection.config_set("maxmemory", "0")
        writer.write(run, "info", "after")

        async def written() -> bool:
            return await writer.flush(run)

        await wait_until(written, description="the log was written")
        assert [line.text for line in await lines(client, run)] == ["before", "... 1 line cut", "after"]


async def test_memory_stays_small_while_the_server_is_away(stack: Stack) -> None:
    runs = [await claim(stack.client) for _ in range(50)]
    async with FaultProxy(stack.url) as proxy, writing(proxy.url) as writer:
        proxy.refuse()
        tracemalloc.start()
        try:
            for _, run in itertools.product(range(400), runs):
                writer.write(run, "info", "x" * 1_000)
            used, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert used < 2 * run_logs.MOST_BYTES
        proxy.restore()
        for run in runs:
            assert await writer.flush(run, 20)
    kept = [await lines(stack.client, run) for run in runs]
    assert [len(found) - 1 + found[-1].cut for found in kept] == [400] * 50


async def test_lines_of_many_threads_all_arrive(stack: Stack, writer: LogWriter) -> None:
    run = await claim(stack.client)

    def say(who: int) -> None:
        for number in range(500):
            writer.write(run, "info", f"{who} {number}")

    async with anyio.create_task_group() as group:
        for who in range(8):
            group.start_soon(anyio.to_thread.run_sync, say, who)
    assert await writer.flush(run, 10)
    found = await texts(stack.client, run)
    assert len(found) == 4_000
    for who in range(8):
        assert [text for text in found if text.startswith(f"{who} ")] == [f"{who} {number}" for number in range(500)]


async def test_what_is_left_when_a_worker_goes_is_written(stack: Stack) -> None:
    runs = [await claim(stack.client) for _ in range(3)]
    async with AsyncExitStack() as opened:
        writer = await opened.enter_async_context(writing(stack.url))
        for run in runs:
            writer.write(run, "info", "the last word")
        await writer.close()
    for run in runs:
        assert await texts(stack.client, run) == ["the last word"]
