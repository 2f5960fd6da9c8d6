"""`fsync`: a publish is answered when it is on the master's disk; where that cannot be known it is refused before."""

import asyncio
import re
from collections.abc import Callable

import pytest
import redis

from dispatcher import BlockingClient, Client, InvalidInput, NotDurable, context
from dispatcher.cli.failures import ExitCode, exit_code
from dispatcher.cli.main import main
from dispatcher.errors import CredentialsRefused, ServerUnfit
from tests.support.servers import Server
from tests.support.stack import running
from workers import Functions

ALWAYS = {"appendfsync": "always"}


def used(url: str, command: str) -> int:
    """How often a command was called."""
    with redis.Redis.from_url(url) as connection:
        return int(connection.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def published(client: Client, **options: object) -> int:
    """Publish with fsync; how many runs there are then."""
    await client.publish("f", durability="fsync", **options)
    return len(await client.list(limit=1000))


async def test_a_server_whose_waitaof_answers_before_its_disk_is_not_believed(
    new_server: Callable[..., Server],
) -> None:
    """Valkey does, with everysec: found by test_loss.py, which lost runs that it had answered for."""
    server = new_server("valkey", aof=True)
    async with Client(server.url) as client:
        await client.pools.create("default")
        with pytest.raises(ServerUnfit, match="nothing was published: .* WAITAOF answers before the disk does"):
            await published(client)
        assert await client.list() == []


async def test_a_server_whose_waitaof_waits_is_asked_with_each_publish(
    new_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of ours does: whoever finds that it took two seconds is told so."""
    monkeypatch.setattr("dispatcher.store.durable._THREE_FSYNCS", 0.0)
    server = new_server("valkey", aof=True)
    async with Client(server.url) as client:
        await client.pools.create("default")
        assert await published(client) == 1
        before = used(server.url, "waitaof")
        assert await published(client) == 2
    assert used(server.url, "waitaof") - before == 1


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.redis)])
async def test_with_everysec_it_is_refused_until_the_server_is_set_as_the_answer_says(
    new_server: Callable[..., Server], kind: str
) -> None:
    server = new_server(kind, aof=True)
    async with Client(server.url) as client:
        await client.pools.create("default")
        with pytest.raises(ServerUnfit, match="nothing was published: .* has appendfsync everysec") as caught:
            await published(client)
        assert await client.list() == []
        (remedy,) = re.findall(r"`(CONFIG SET [^`]+)`", str(caught.value))
        assert server.call(*remedy.split()) == "+OK\r\n"
        assert await published(client) == 1


@pytest.mark.redis
async def test_a_server_that_is_set_otherwise_meanwhile_is_noticed(new_server: Callable[..., Server]) -> None:
    server = new_server("redis", aof=True, settings=ALWAYS)
    async with Client(server.url) as client:
        await client.pools.create("default")
        assert await published(client) == 1
        server.call("CONFIG", "SET", "appendfsync", "everysec")
        with pytest.raises(NotDurable, match="appendfsync everysec") as caught:
            await client.publish("f", durability="fsync")
        assert (await client.get(caught.value.run_ids[0])).state == "queued"
        with pytest.raises(ServerUnfit, match="nothing was published"):
            await client.publish("f", durability="fsync")
        assert len(await client.list()) == 2


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.redis)])
async def test_without_an_append_only_file_it_is_refused(new_server: Callable[..., Server], kind: str) -> None:
    server = new_server(kind)
    async with Client(server.url) as client:
        await client.pools.create("default")
        with pytest.raises(ServerUnfit, match="has no append-only file: `CONFIG SET appendonly yes`") as caught:
            await published(client)
        assert exit_code(caught.value) == ExitCode.CONFLICT
        assert await client.list() == []


@pytest.mark.redis
async def test_a_user_who_may_not_read_the_settings_is_refused_and_told_which_right_is_missing(
    new_server: Callable[..., Server],
) -> None:
    server = new_server("redis", aof=True, settings=ALWAYS)
    assert server.call("ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "-config|get") == "+OK\r\n"
    async with Client(server.url.replace("redis://", "redis://limited:secret@")) as client:
        await client.pools.create("default")
        with pytest.raises(CredentialsRefused, match=r"nothing was published: .* needs CONFIG GET: .*\+config\|get"):
            await published(client)
        assert await client.list() == []


async def test_it_goes_on_where_it_was_when_the_server_was_killed_meanwhile(new_server: Callable[..., Server]) -> None:
    server = new_server("valkey", aof=True, settings=ALWAYS)
    async with Client(server.url) as client:
        await client.pools.create("default")
        assert await published(client) == 1
        server.restart(kill=True)
        assert await published(client) == 2


async def test_code_without_an_event_loop_has_it_too(new_server: Callable[..., Server]) -> None:
    server = new_server("valkey", aof=True, settings=ALWAYS)

    def publish() -> str | None:
        with BlockingClient(server.url, durability="fsync") as client:
            client.pools.create("default")
            return client.get(client.publish("f")).spec.durability

    assert await asyncio.to_thread(publish) == "fsync"
    assert used(server.url, "config|get") >= 1


async def test_the_code_of_a_run_publishes_its_children_so(new_server: Callable[..., Server]) -> None:
    server = new_server("valkey", aof=True, settings=ALWAYS)
    functions = Functions()

    @functions.register
    async def parent() -> str:
        return (await context.publish("child", durability="fsync")).id

    @functions.register
    async def child() -> None:
        pass

    async with running(server.url) as stack:
        await stack.worker(functions)
        born = await stack.client.result(await stack.client.publish("parent"), 20)
        assert (await stack.client.get(born)).spec.durability == "fsync"
    assert used(server.url, "config|get") >= 1


async def test_the_command_line_and_the_environment_have_it(
    new_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = new_server("valkey")  # without a file: what asks for fsync is refused
    monkeypatch.setenv("SLUICE_REDIS_URL", server.url)
    async with Client(server.url) as client:
        await client.pools.create("default")

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["run", "publish", "f", *words])
        return int(ended.value.code or 0)

    assert await asyncio.to_thread(run, "--durability", "fsync") == ExitCode.CONFLICT
    assert "has no append-only file" in capsys.readouterr().err
    monkeypatch.setenv("SLUICE_DURABILITY", "fsync")
    assert await asyncio.to_thread(run) == ExitCode.CONFLICT
    assert await asyncio.to_thread(run, "--durability", "fast") == ExitCode.OK


@pytest.mark.parametrize("level", ["", "safe", 3, ["fsync"]])
async def test_a_level_that_is_none_is_refused(redis_url: str, level: object) -> None:
    async with Client(redis_url) as client:
        await client.pools.create("default")
        with pytest.raises(InvalidInput, match="no level of durability: one of fast, fsync, replicated"):
            await client.publish("f", durability=level)
    with pytest.raises(InvalidInput, match="no level of durability"):
        Client(redis_url, durability=level)
