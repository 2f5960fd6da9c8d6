"""A connection that was reset while nobody used it: uvloop answers with a RuntimeError, and redis-py lets it out."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis

from dispatcher.errors import ServerUnreachable
from dispatcher.store.link import Link
from tests.support.waiting import wait_until

uvloop = pytest.importorskip("uvloop", reason="the extra `speed` is not installed")


def reset(client: object) -> None:
    """What a RST does to our end: the loop has closed the transport, redis-py does not know."""
    client.connection._writer.transport.abort()


def on_uvloop(url: str, act: Callable[[Link], Awaitable[None]]) -> None:
    async def main() -> None:
        link = Link(url)
        try:
            await link.calls.ping()
            await link.turns.ping()
            await act(link)
        finally:
            await link.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.fault(10)
def test_a_script_is_sent_again_over_a_new_connection(redis_url: str):
    async def act(link: Link) -> None:
        for _ in range(3):
            reset(link.calls)
            await asyncio.sleep(0)  # the loop takes it in
            assert await link.call("sweep", "nobody", 0) is not None

    on_uvloop(redis_url, act)


def test_a_turn_says_that_the_server_was_away(redis_url: str):
    async def act(link: Link) -> None:
        from dispatcher import scripts

        reset(link.turns)
        await asyncio.sleep(0)
        with pytest.raises(ServerUnreachable, match="reset"):
            await link.run(scripts.load("sweep"), link.turns, "nobody", 0)
        await link.run(scripts.load("sweep"), link.turns, "nobody", 0)

    on_uvloop(redis_url, act)


def test_an_answer_that_is_cut_off_while_nobody_takes_it_is_a_lost_connection(redis_url: str):
    async def act(link: Link) -> None:
        await link.client.set("large", b"x" * 2_000_000)
        connection = link.calls.connection
        await connection.send_command("GET", "large")
        await wait_until(lambda: connection._reader._paused, description="there is more than the reader keeps")
        reset(link.calls)
        await asyncio.sleep(0)
        with pytest.raises(redis.exceptions.ConnectionError):
            await connection.read_response()
        await link.client.delete("large")

    on_uvloop(redis_url, act)


def test_another_error_of_the_loop_is_not_hidden(redis_url: str):
    async def act(link: Link) -> None:
        async def broken(*_: object) -> None:
            raise RuntimeError("something else")

        link.calls.connection._writer.drain = broken
        with pytest.raises(RuntimeError, match="something else"):
            await link.call("sweep", "nobody", 0)

    on_uvloop(redis_url, act)
