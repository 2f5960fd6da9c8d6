"""The server dies, forgets its scripts, loses replies, is unfit: nothing is lost, doubled or let through."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial

import anyio
import pytest
import redis

import dispatcher.service
import scheduler.service
from dispatcher import BlockingClient, Client, Publish, RunState, scripts
from dispatcher.errors import CredentialsRefused, ServerError, ServerFull, ServerUnfit, ServerUnreachable
from dispatcher.settings import read_settings
from dispatcher.store.connection import unfit_version
from tests.support.processes import Children
from tests.support.proxy import Fault, FaultProxy
from tests.support.servers import Kind, Server, free_port
from tests.support.stack import LEASE, PROGRAMS, Stack, running
from tests.support.waiting import wait_until
from tests.support.witness import Witness
from workers import Functions, FunctionWorker, Worker, WorkerOptions
from workers.app import load_functions


@pytest.fixture
def functions() -> Functions:
    return load_functions("witnessing:functions", str(PROGRAMS))


@pytest.mark.fault(12)
@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.redis)])
async def test_the_server_is_killed_and_comes_back(
    new_server: Callable[..., Server], children: Children, witness: Witness, kind: Kind
) -> None:
    # Each second, a write waits for the fsync before it, and what was answered meanwhile may be lost with the process.
    server = new_server(kind, aof=True, settings={"appendfsync": "always"})
    async with running(server.url) as stack:
        await stack.dispatcher()
        await stack.scheduler()
        await stack.client.pools.update("default", limit=4)
        for n in range(2):
            await stack.worker_process(children, witness, limit=6, name=f"w{n}")
        runs = []
        for n in range(60):
            runs.append(await stack.client.publish("work", {"name": f"r{n}", "seconds": 0.02}, delay=0.02 * (n % 5)))
            if n in (15, 40):
                await wait_until(lambda n=n: len(witness.count("end")) >= n // 2, description="some are over")
                await anyio.to_thread.run_sync(lambda: server.restart(kill=True))
        await stack.completed(runs)
        stack.ended_once(runs)
        witness.exactly_once({f"r{n}" for n in range(60)})
        assert witness.highest() <= 4
        assert {(await stack.client.get(run)).crashes for run in runs} == {0}


@pytest.mark.fault(13)
async def test_an_outage_longer_than_the_lease_costs_no_worker(
    new_server: Callable[..., Server], witness: Witness, functions: Functions
) -> None:
    """Frozen for longer than a lease, then back: healthy workers renew before anybody may take their runs."""
    server = new_server()
    async with running(server.url) as stack:
        await stack.dispatcher()
        worker = await stack.worker(functions)
        first = worker.id
        before = await stack.client.publish("work", {"name": "before"})
        await stack.completed([before])
        server.freeze()
        await wait_until(lambda: not worker.is_live, description="the worker distrusts its lease")
        with anyio.move_on_after(LEASE / 2):
            await wait_until(lambda: worker.is_live, description="it cannot")
        server.thaw()
        await wait_until(lambda: worker.is_live, description="the worker is live again")
        after = await stack.client.publish("work", {"name": "after"})
        await stack.completed([before, after])
        assert worker.id == first
        witness.exactly_once({"before", "after"})


@pytest.mark.fault(19)
async def test_scripts_are_forgotten_in_the_middle(stack: Stack, children: Children, witness: Witness) -> None:
    await stack.dispatcher()
    await stack.client.pools.update("default", limit=3)
    await stack.worker_process(children, witness, limit=6)
    runs = []
    with redis.Redis.from_url(stack.url) as connection:
        for n in range(100):
            runs.append(await stack.client.publish("work", {"name": f"r{n}"}))
            if n % 5 == 0:
                connection.script_flush()
        await stack.completed(runs)
    stack.ended_once(runs)
    witness.exactly_once({f"r{n}" for n in range(100)})
    assert witness.highest() <= 3


@pytest.mark.fault(26)
async def test_a_publish_that_is_sent_again_is_one_run(stack: Stack, witness: Witness, functions: Functions) -> None:
    await stack.worker(functions, limit=3)
    batch = [Publish("work", {"name": f"r{n}"}, {"run_id": f"resent-00000000{n:03}", "delay": 0}) for n in range(50)]
    rounds = [await stack.client.publish_many(batch) for _ in range(3)]
    async with Client(stack.url) as other, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(other.publish_many, batch)
            group.start_soon(stack.client.publish_many, batch)
    await stack.completed(rounds[0])
    rounds.append(await stack.client.publish_many(batch))  # long over
    assert [{run.is_new for run in sent} for sent in rounds] == [{True}, {False}, {False}, {False}]
    assert [[run.id for run in sent] for sent in rounds] == [[run.id for run in rounds[0]]] * 4
    witness.exactly_once({f"r{n}" for n in range(50)})
    stack.ended_once(rounds[0])


async def lose(stack: Stack, witness: Witness, proxy: FaultProxy, arm: Callable[[int], Fault], rounds: int) -> None:
    """Publish through the proxy while the nth such reply or command is lost, for n from 1 on; nothing may show."""
    names: set[str] = set()
    runs = []
    async with Client(proxy.url) as client:
        for nth in range(1, rounds + 1):
            fault = arm(nth)
            while not fault.happened.is_set():
                some = []
                for _ in range(8):
                    n = len(names)
                    names.add(f"r{n}")
                    some.append(await client.publish("work", {"name": f"r{n}", "seconds": 0.002}, keys=[f"k:{n % 2}"]))
                await stack.completed(some)
                runs += some
    witness.exactly_once(names)
    stack.ended_once(runs)
    assert witness.highest() <= 3
    assert witness.highest(lambda name: name.endswith(("0", "2", "4", "6"))) <= 2


@pytest.mark.fault(10)
@pytest.mark.parametrize("lost", ["reply", "command"])
@pytest.mark.parametrize(("script", "rounds"), [("publish", 8), ("turn", 12)])
async def test_a_lost_message_of_the_hot_path_shows_nowhere(
    stack: Stack, witness: Witness, functions: Functions, script: str, rounds: int, lost: str
) -> None:
    await stack.dispatcher()
    await stack.client.pools.update("default", limit=3)
    await stack.client.limits.set("k:*", 2)
    sha = scripts.load(script).sha.encode()
    async with FaultProxy(stack.url) as proxy:
        worker = await stack.worker(functions, url=proxy.url, limit=5)
        first = worker.id
        await lose(
            stack, witness, proxy, partial(proxy.lose_reply if lost == "reply" else proxy.lose_command, sha), rounds
        )
        assert worker.id == first
        worker.drain()
        await wait_until(lambda: nobody(stack.client), description="the worker has left")


async def nobody(client: Client) -> bool:
    return not await client.workers.list()


@pytest.mark.fault(10)
@pytest.mark.parametrize("lost", ["reply", "command"])
@pytest.mark.parametrize("words", ["join", "heartbeat", "leave", "XREAD"])
async def test_a_lost_message_beside_the_hot_path_shows_nowhere(
    stack: Stack, witness: Witness, functions: Functions, words: str, lost: str
) -> None:
    await stack.dispatcher()
    await stack.client.pools.update("default", limit=3)
    await stack.client.limits.set("k:*", 2)
    text = words.encode() if words == "XREAD" else scripts.load(words).sha.encode()
    async with FaultProxy(stack.url) as proxy:
        for _ in range(1 if words == "XREAD" else 2):
            arm = proxy.lose_reply if lost == "reply" else proxy.lose_command
            fault = arm(text, nth=2 if words == "XREAD" else 1)
            worker = await stack.worker(functions, url=proxy.url, limit=5)
            runs = [await stack.client.publish("work", {"name": f"{worker.id}.{n}"}, keys=["k:1"]) for n in range(10)]
            await stack.completed(runs)
            if words != "leave":
                await wait_until(fault.happened.is_set, description="it is lost")
            more = [await stack.client.publish("work", {"name": f"{worker.id}.m{n}"}) for n in range(5)]
            await stack.completed(more)
            assert [seen.id for seen in await stack.client.workers.list()] == [worker.id]
            worker.drain()
            await wait_until(lambda: nobody(stack.client), description="the worker has left")
            await wait_until(fault.happened.is_set, description="it is lost")
            assert witness.highest(lambda name, own=worker.id: name.startswith(f"{own}.m")) <= 3
    assert set(witness.count("start").values()) == {1}
    assert witness.count("end") == witness.count("start")


def load_scripts(url: str) -> None:
    """So that the first reply that is lost is no NOSCRIPT."""
    with redis.Redis.from_url(url) as connection:
        for name in scripts.names():
            connection.script_load(scripts.load(name).text)


@pytest.mark.fault(10)
@pytest.mark.parametrize("script", ["cancel", "wait", "pool", "queue", "limit", "promote", "tick", "retain"])
async def test_a_lost_reply_of_the_others_is_asked_for_again(stack: Stack, script: str) -> None:
    load_scripts(stack.url)
    sha = scripts.load(script).sha.encode()
    published = await stack.client.publish("f", delay=3600)
    async with FaultProxy(stack.url) as proxy:
        fault = proxy.lose_reply(sha)
        async with Client(proxy.url) as client, running(proxy.url) as through:
            if script in ("promote", "tick", "retain"):
                await (through.scheduler if script == "promote" else through.dispatcher)()
                await wait_until(fault.happened.is_set, description="it is lost")
            elif script == "cancel":
                assert await client.cancel(published) == ["already"]  # our own first try did it
                assert (await client.get(published)).state is RunState.CANCELLED
            elif script == "wait":
                with pytest.raises(TimeoutError), anyio.fail_after(0.3):
                    await client.result(published)
            elif script == "pool":
                await client.pools.update("default", limit=7)
                assert (await client.pools.get("default")).limit == 7
            elif script == "queue":
                await client.queues.update("default", limit=7)
                assert (await client.queues.get("default")).limit == 7
            else:
                await client.limits.set("k:1", 7)
                assert [limit.limit for limit in await client.limits.list()] == [7]
        assert fault.happened.is_set()


@pytest.mark.fault(10, 26)
async def test_what_this_call_made_is_new_even_when_its_reply_was_lost(stack: Stack) -> None:
    """`exists` for an id that this client has just made can only mean its own first try."""
    load_scripts(stack.url)
    async with FaultProxy(stack.url) as proxy, Client(proxy.url) as client:
        fault = proxy.lose_reply(scripts.load("publish").sha.encode())
        published = await client.publish("f")
        assert fault.happened.is_set()
        assert published.is_new
        proxy.lose_reply(scripts.load("publish").sha.encode())
        first = await client.publish("f", idempotency_key="k")
        assert first.is_new
        assert not (await client.publish("f", idempotency_key="k")).is_new
        assert (await stack.client.pools.get("default")).queued == 2


@pytest.mark.fault(44)
async def test_a_silent_server_is_given_up_and_asked_again(
    stack: Stack, witness: Witness, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half-open connection: no answer and no end. Answers that come late are nobody's."""
    monkeypatch.setattr("dispatcher.store.connection.CALL_SECONDS", 0.4)
    async with FaultProxy(stack.url) as proxy, Client(proxy.url) as client:
        worker = await stack.worker(functions, url=proxy.url)
        runs = [await client.publish("work", {"name": "r0"})]
        for n in range(1, 4):
            proxy.black_hole()
            async with anyio.create_task_group() as group:

                async def publish(n: int = n) -> None:
                    runs.append(await client.publish("work", {"name": f"r{n}"}, run_id=f"silent-0000000000{n}"))

                group.start_soon(publish)
                with anyio.move_on_after(0.6):
                    await wait_until(lambda n=n: len(runs) > n, description="it cannot")
                proxy.restore()
            await stack.completed(runs)
        assert (await client.get(runs[1])).spec.parameters == {"name": "r1"}
        witness.exactly_once({f"r{n}" for n in range(4)})
        worker.drain()
        await wait_until(lambda: nobody(stack.client), description="the worker has left")


async def check_all(url: str, error: type[ServerError], match: str) -> None:
    """A client's check and each service refuse the server, with the reason."""
    async with Client(url) as client:
        with pytest.raises(error, match=match):
            await client.check()
    for service in (dispatcher.service.serve, scheduler.service.serve):
        with pytest.raises(error, match=match):
            await service(read_settings({"redis_url": url}))


async def test_an_unreachable_server_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    monkeypatch.setattr("dispatcher.store.connection._patient", no_patience)
    await check_all(url, ServerUnreachable, "does not answer.*SLUICE_REDIS_URL")
    async with Client(url) as client:
        with pytest.raises(ServerUnreachable) as caught:
            await client.publish("f")
    assert "secret" not in str(caught.value)
    with pytest.raises(ServerUnreachable):
        async with Worker(url, FunctionWorker(Functions()), WorkerOptions()) as worker:
            await worker.run()


def test_an_unreachable_server_is_said_to_the_blocking_client_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.store.connection._patient", no_patience)
    with BlockingClient(f"redis://127.0.0.1:{free_port()}/0") as client, pytest.raises(ServerUnreachable):
        client.publish("f")


def no_patience() -> object:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Retry(NoBackoff(), 1)


async def test_wrong_credentials_are_said(new_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.store.connection._patient", no_patience)
    server = new_server(settings={"requirepass": "right"})
    for user in ("", ":wrong@", "nobody:wrong@"):
        url = server.url.replace("redis://", f"redis://{user}")
        await check_all(url, CredentialsRefused, "refuses these credentials")
        async with Client(url) as client:
            with pytest.raises(CredentialsRefused) as caught:
                await client.publish("f")
        assert ":wrong@" not in str(caught.value)
    async with Client(server.url.replace("redis://", "redis://:right@")) as client:
        await client.check()
        await client.pools.create("default")
        assert (await client.publish("f")).is_new


async def test_a_server_that_evicts_is_refused(new_server: Callable[..., Server]) -> None:
    server = new_server(settings={"maxmemory-policy": "allkeys-lru"})
    await check_all(server.url, ServerUnfit, "allkeys-lru.*CONFIG SET maxmemory-policy noeviction")


async def test_a_server_without_persistence_is_warned_of(stack: Stack, new_server: Callable[..., Server]) -> None:
    assert ["appendonly" in warning for warning in await stack.client.check()] == [True]
    async with Client(new_server(aof=True).url) as client:
        assert await client.check() == []


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ({"redis_version": "6.2.14"}, "Redis 6.2.14 is too old, 7.0 is the least"),
        ({"redis_version": "7.0.0"}, None),
        ({"redis_version": "10.1.0"}, None),
        ({"redis_version": "7.2.4", "valkey_version": "7.1.9"}, "Valkey 7.1.9 is too old, 7.2 is the least"),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.0"}, None),
        ({"redis_version": "255.255.255"}, None),
        ({}, "Redis 0.0 is too old, 7.0 is the least"),
    ],
)
def test_versions(info: dict[str, str], why: str | None) -> None:
    assert unfit_version(info) == why


@contextlib.asynccontextmanager
async def old_server() -> AsyncIterator[str]:
    """A server that answers INFO as Redis 6.2 does, and knows little else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (count := await reader.readline()).startswith(b"*"):
                words = []
                for _ in range(int(count[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].upper())
                text = b"# Server\r\nredis_version:6.2.14\r\n"
                known = words[0] == b"INFO"
                writer.write(b"$%d\r\n%s\r\n" % (len(text), text) if known else b"-ERR unknown command\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0?protocol=2"


async def test_a_server_that_is_too_old_is_refused() -> None:
    async with old_server() as url:
        await check_all(url, ServerUnfit, "Redis 6.2.14 is too old, 7.0 is the least")


@pytest.mark.fault(22)
async def test_a_full_server_takes_no_more_and_can_be_drained(
    new_server: Callable[..., Server], witness: Witness, functions: Functions
) -> None:
    server = new_server()
    async with running(server.url) as stack:
        await stack.client.pools.pause("default")
        runs = [await stack.client.publish("work", {"name": f"r{n}"}) for n in range(20)]
        with redis.Redis.from_url(server.url) as connection:
            connection.config_set("maxmemory", 1)
            with pytest.raises(ServerFull, match="Try again when runs have ended"):
                await stack.client.publish("work", {"name": "refused"})
            assert (await stack.client.pools.get("default")).queued == 20
            await stack.client.pools.resume("default")
            await stack.worker(functions)
            await stack.completed(runs)
            assert (await stack.client.get(runs[0])).state is RunState.COMPLETED
            connection.config_set("maxmemory", 0)
        stack.ended_once(runs)
        witness.exactly_once({f"r{n}" for n in range(20)})
