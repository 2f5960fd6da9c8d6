"""Logs of runs as people read them: what is there, what comes, to the run's end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgpack
import pytest
import redis

from dispatcher import BlockingClient, Client, InvalidInput, LogLine, Published, RunNotFound
from dispatcher.errors import ServerError
from dispatcher.redaction import hide_passwords
from dispatcher.store import LogChunk
from tests.support.proxy import FaultProxy
from tests.support.servers import EVERY_KIND
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions

MS = 1_700_000_000_000


def chunk(run: Published, *lines: str, sequence: int, token: int = 1, cut: int = 0, level: str = "info") -> LogChunk:
    """A chunk whose lines are a second apart."""
    rows = [[MS + 1_000 * (sequence + place), level, line] for place, line in enumerate(lines)]
    size = sum(len(line.encode()) for line in lines)
    return LogChunk(run.id, str(token), sequence, cut, len(rows), size, msgpack.packb(rows) if rows else b"")


async def write(client: Client, *chunks: LogChunk) -> list[str]:
    return await client._store.logs.write("default", chunks)


async def read(client: Client, run: Published, **options: Any) -> list[str]:
    return [line.text async for line in client.logs(run, **options)]


def texts(lines: Sequence[LogLine]) -> list[str]:
    return [line.text for line in lines]


def entries(stack: Stack, run: Published) -> list[dict[bytes, bytes]]:
    with redis.Redis.from_url(stack.url) as connection:
        return [fields for _, fields in connection.xrange(f"sluice:{{default}}:log:{run.id}")]


@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)
async def test_what_was_written_is_read_line_by_line(stack: Stack) -> None:
    run = await stack.client.publish("f")
    assert await write(stack.client, chunk(run, "a", "ä", sequence=1), chunk(run, "c", sequence=2)) == ["ok", "ok"]
    found = [line async for line in stack.client.logs(run)]
    assert found == [
        LogLine(datetime.fromtimestamp(MS / 1000 + after, UTC), "info", text)
        for after, text in ((1, "a"), (2, "ä"), (2, "c"))
    ]


async def test_a_run_without_a_log_has_no_lines(stack: Stack) -> None:
    assert await read(stack.client, await stack.client.publish("f")) == []


async def test_an_unknown_run_is_an_error(stack: Stack) -> None:
    for follow in (False, True):
        with pytest.raises(RunNotFound, match="0123456789abcdef0123"):
            await read(stack.client, Published("0123456789abcdef0123", "default", True), follow=follow)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"level": "loud"}, "'loud' is no level: one of debug, info"),
        ({"level": "cut"}, "'cut' is no level"),
        ({"last": -1}, "-1 is no number of lines"),
        ({"since": datetime.fromisoformat("2030-01-01")}, "has no time zone"),
    ],
)
async def test_what_cannot_be_wanted_is_refused_at_once(stack: Stack, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        stack.client.logs("0123456789abcdef0123", **options)


async def test_a_script_call_is_told_what_became_of_each_chunk(stack: Stack) -> None:
    run, gone = await stack.client.publish("f"), Published("0123456789abcdef0123", "default", True)
    chunks = [
        chunk(run, "1 of 5", sequence=1, token=5),
        chunk(run, "1 of 5", sequence=1, token=5),
        chunk(gone, "nobody", sequence=2),
        chunk(run, "2 of 5", sequence=3, token=5),
        chunk(run, "1 of 5", sequence=1, token=5),
        chunk(run, "1 of 4", sequence=9, token=4),
        chunk(run, "1 of 6", sequence=1, token=6),
        chunk(run, "3 of 5", sequence=4, token=5),
    ]
    assert await write(stack.client, *chunks) == [
        "ok", "already", "missing", "ok", "already", "stale", "ok", "stale",
    ]  # fmt: skip
    assert await read(stack.client, run) == ["1 of 5", "2 of 5", "1 of 6"]
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.exists(f"sluice:{{default}}:log:{gone.id}") == 0


async def test_an_entry_that_no_worker_wrote_holds_up_no_other_run(stack: Stack) -> None:
    run, other = await stack.client.publish("f"), await stack.client.publish("f")
    with redis.Redis.from_url(stack.url) as connection:
        connection.xadd(f"sluice:{{default}}:log:{run.id}", {"by": "hand"})
    assert await write(stack.client, chunk(run, "a", sequence=1), chunk(other, "b", sequence=2)) == ["stale", "ok"]
    assert await read(stack.client, run) == []
    assert await read(stack.client, other) == ["b"]


async def test_lines_that_were_lost_on_the_way_are_told_where_they_are_missing(stack: Stack) -> None:
    run = await stack.client.publish("f")
    for what in (
        chunk(run, "a", sequence=1),
        chunk(run, "b", sequence=2, cut=3),
        chunk(run, sequence=3, cut=4),
        chunk(run, "c", sequence=4, cut=5),
        chunk(run, sequence=5, cut=1),
        chunk(run, sequence=6, cut=1_000),
    ):
        assert await write(stack.client, what, what) == ["ok", "already"]
    assert await read(stack.client, run) == ["a", "... 3 lines cut", "b", "... 9 lines cut", "c", "... 1,001 lines cut"]
    assert len(entries(stack, run)) == 4, "a marker takes the place of the one before"


async def test_a_chunk_that_goes_over_the_cap_is_cut_there(stack: Stack) -> None:
    run = await stack.client.publish("f")
    many = [str(number) for number in range(400)]
    for sequence in range(1, 26):
        assert await write(stack.client, chunk(run, *many, sequence=sequence)) == ["ok"]
    over = chunk(run, "one too many", "and another", sequence=26, cut=10)
    assert await write(stack.client, over, over) == ["full", "already"]
    assert await write(stack.client, chunk(run, sequence=27, cut=7)) == ["full"]
    assert await write(stack.client, chunk(run, "of the next attempt", sequence=28, token=2)) == ["full"]
    found = [line async for line in stack.client.logs(run)]
    assert texts(found[:-1]) == many * 25
    assert (found[-1].level, found[-1].cut) == ("cut", 20)
    assert len(entries(stack, run)) == 26


async def test_a_large_line_ends_a_log_and_what_fits_before_it_is_kept(stack: Stack) -> None:
    run = await stack.client.publish("f")
    half = "x" * 499_999
    assert await write(stack.client, chunk(run, half, sequence=1), chunk(run, half, "ä", "yyy", "z", sequence=2)) == [
        "ok",
        "full",
    ]
    assert await read(stack.client, run) == [half, half, "ä", "... 2 lines cut"]
    assert entries(stack, run)[-1] == {b"h": b"1:2:3:1000000:2:1", b"l": b""}


async def test_only_what_is_wanted_is_read(stack: Stack) -> None:
    run = await stack.client.publish("f")
    for sequence, level in enumerate(("debug", "info", "warning", "error", "info"), 1):
        await write(stack.client, chunk(run, f"{level} {sequence}", sequence=sequence, level=level))
    await write(stack.client, chunk(run, sequence=6, cut=2))
    cut = "... 2 lines cut"
    assert await read(stack.client, run, level="warning") == ["warning 3", "error 4", cut]
    assert await read(stack.client, run, last=2) == ["error 4", "info 5", cut]
    assert await read(stack.client, run, last=0) == [cut]
    assert await read(stack.client, run, last=9, level="error") == ["error 4", cut]
    since = datetime.fromtimestamp(MS / 1000 + 4, UTC)
    assert await read(stack.client, run, since=since) == ["error 4", "info 5", cut]
    assert await read(stack.client, run, since=since.astimezone() + timedelta(days=1)) == [cut]


class Following:
    """Reads a log in a task of its own."""

    def __init__(self, client: Client, run: Published, **options: Any) -> None:
        self.texts: list[str] = []
        self._lines = client.logs(run, follow=True, **options)
        self.task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        async for line in self._lines:
            self.texts.append(line.text)

    async def has(self, *expected: str) -> None:
        await wait_until(lambda: self.texts == list(expected), description=f"{expected} were read")


@pytest.fixture
async def following() -> AsyncIterator[Callable[..., Following]]:
    started: list[Following] = []

    def start(client: Client, run: Published, **options: Any) -> Following:
        started.append(Following(client, run, **options))
        return started[-1]

    yield start
    for one in started:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in started), return_exceptions=True)


async def test_following_reads_lines_as_they_come_and_ends_with_the_run(stack: Stack, following) -> None:
    run = await stack.client.publish("f")
    await write(stack.client, chunk(run, "a", "b", sequence=1))
    all_of_it, from_now = following(stack.client, run), following(stack.client, run, last=1)
    await all_of_it.has("a", "b")
    await from_now.has("b")
    began = time.monotonic()
    await write(stack.client, chunk(run, "c", sequence=2))
    await all_of_it.has("a", "b", "c")
    await from_now.has("b", "c")
    assert time.monotonic() - began < 1, "a reader is woken, it does not poll"
    await write(stack.client, chunk(run, sequence=3, cut=1))
    await write(stack.client, chunk(run, "d", sequence=4, cut=1))
    await all_of_it.has("a", "b", "c", "... 2 lines cut", "d")
    await write(stack.client, chunk(run, sequence=5, cut=2))
    await write(stack.client, chunk(run, sequence=6, cut=3))
    await stack.client.cancel(run)
    await asyncio.wait_for(asyncio.gather(all_of_it.task, from_now.task), 10)
    assert all_of_it.texts[4:] == from_now.texts[3:] == ["d", "... 5 lines cut"]


async def test_following_a_run_that_is_over_ends(stack: Stack) -> None:
    run = await stack.client.publish("f")
    await write(stack.client, chunk(run, "a", sequence=1))
    await stack.client.cancel(run)
    assert await read(stack.client, run, follow=True) == ["a"]


@pytest.mark.fault(12)
async def test_following_goes_on_when_the_server_is_away_for_a_moment(stack: Stack, following) -> None:
    run = await stack.client.publish("f")
    async with FaultProxy(stack.url) as proxy, Client(proxy.url) as client:
        reader = following(client, run)
        await write(stack.client, chunk(run, "a", sequence=1))
        await reader.has("a")
        proxy.refuse()
        await write(stack.client, chunk(run, "b", sequence=2))
        await wait_until(lambda: not proxy.connections, description="all is cut")
        assert not reader.task.done()
        proxy.restore()
        await reader.has("a", "b")
        proxy.cut()
        await stack.client.cancel(run)
        await asyncio.wait_for(reader.task, 20)


async def test_a_server_that_is_away_is_said(stack: Stack) -> None:
    run = await stack.client.publish("f")
    async with FaultProxy(stack.url) as proxy, Client(proxy.url) as client:
        proxy.refuse()
        with pytest.raises(ServerError):
            await read(client, run, follow=True)


async def test_a_follower_that_stops_leaves_no_connection(stack: Stack) -> None:
    run = await stack.client.publish("f")
    await write(stack.client, chunk(run, "a", sequence=1))
    with redis.Redis.from_url(stack.url) as connection:
        before = len(connection.client_list())
        lines = stack.client.logs(run, follow=True)
        assert (await anext(lines)).text == "a"
        assert len(connection.client_list()) > before
        await lines.aclose()
        await wait_until(
            lambda: not [client for client in connection.client_list() if client["cmd"] == "xread"],
            description="nobody reads",
        )


async def test_the_blocking_client_reads_and_follows(stack: Stack) -> None:
    run = await stack.client.publish("f")
    await write(stack.client, chunk(run, "a", "b", sequence=1))

    def blocking() -> list[str]:
        with BlockingClient(stack.url) as client:
            assert texts(list(client.logs(run))) == ["a", "b"]
            lines = client.logs(run.id, follow=True, last=1)
            found = [next(lines).text]
            client.cancel(run)
            return found + texts(list(lines))

    assert await anyio.to_thread.run_sync(blocking) == ["b"]


async def test_attempts_follow_each_other_in_one_log_and_retention_takes_it(stack: Stack) -> None:
    functions = Functions()

    @functions.register
    async def work() -> None: ...

    run = await stack.client.publish("work")
    for attempt in (1, 2):
        await write(stack.client, chunk(run, f"attempt {attempt}", sequence=1, token=attempt))
    await stack.worker(functions)
    await stack.completed([run])
    assert await read(stack.client, run) == ["attempt 1", "attempt 2"]
    await stack.client.pools.update("default", retention_ms=1)
    with redis.Redis.from_url(stack.url) as connection:
        connection.set("sluice:{default}:test-clock", 1)
        stack.client._store.link.now_ms = int(time.time() * 1000) + 600_000
        assert await stack.client._store.care.retain("default") == (1, False, False)
        assert await write(stack.client, chunk(run, "too late", sequence=2, token=2)) == ["missing"]
        assert connection.keys("*:log:*") == []
    with pytest.raises(RunNotFound):
        await read(stack.client, run)


def test_hiding_passwords_takes_no_longer_than_the_text() -> None:
    hostile = "a." * 500_000 + " redis://me:secret@host " + "://" * 100_000 + ":b" * 100_000
    began = time.monotonic()
    assert "secret" not in hide_passwords(hostile)
    assert time.monotonic() - began < 5
