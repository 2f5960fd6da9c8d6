"""The users of compose's server: each may do what its service does, and a restart keeps what they wrote."""

import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, NoPermissionError
from redis.retry import Retry

from dispatcher import Client, RetryPolicy, RunNotFound
from dispatcher.store import Store
from dispatcher.store.inspection import Inspection
from tests.support.composed import Secrets
from tests.support.servers import Server
from tests.support.stack import Stack, running
from tests.support.waiting import wait_until
from workers import Functions

KINDS = [pytest.param("valkey"), pytest.param("redis", marks=pytest.mark.redis)]
OWN = "sluice:{default}:publish:publisher"


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "secrets")


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, new_server: Callable[..., Server], secrets: Secrets) -> Server:
    """A server with the users of compose."""
    return new_server(request.param, aof=True, settings={"aclfile": str(secrets.folder / "redis_users")})


@pytest.fixture
async def stack(server: Server, secrets: Secrets) -> AsyncIterator[Stack]:
    async with running(secrets.url("operator", server.port)) as started:
        await started.client.intake.publishers.add("publisher")
        yield started


@pytest.fixture
def functions() -> Functions:
    known = Functions()

    @known.register
    async def greet(name: str = "world") -> str:
        return f"hello, {name}"

    @known.register
    async def fail() -> None:
        raise ValueError("not today")

    return known


def test_each_secret_is_made_once_and_the_server_is_told_no_password(secrets: Secrets):
    before = {path.name: path.read_bytes() for path in secrets.folder.iterdir()}
    secrets.make()
    assert {path.name: path.read_bytes() for path in secrets.folder.iterdir()} == before
    passwords = [secrets[name] for name in ("operator", "scheduler", "dispatcher", "worker", "publisher", "replica")]
    assert len(set(passwords)) == len(passwords)
    assert all(len(password) == 64 and password not in before["redis_users"].decode() for password in passwords)
    assert "@" not in before["redis_users"].decode().replace("+@", "").replace("-@", "")
    assert stat.S_IMODE(secrets.folder.stat().st_mode) == 0o700


def test_a_new_password_is_one_that_the_server_will_take(secrets: Secrets):
    old, users = secrets["worker"], (secrets.folder / "redis_users").read_text()
    (secrets.folder / "redis_worker").unlink()
    secrets.make()
    changed = (secrets.folder / "redis_users").read_text().splitlines()
    assert secrets["worker"] != old
    assert [line.split()[1] for line, was in zip(changed, users.splitlines(), strict=True) if line != was] == ["worker"]


def test_nobody_gets_in_without_a_password(server: Server):
    for login in ({}, {"password": "x"}, {"username": "default", "password": ""}, {"username": "worker"}):
        with (
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0), **login) as client,
            pytest.raises(redis.RedisError, match=r"(?i)auth|pass"),
        ):
            client.get("sluice:pools")


def test_whoever_asks_for_health_may_only_ping(server: Server):
    with redis.Redis(port=server.port, username="health", password="none") as client:
        assert client.ping()
        for command in (["GET", "a"], ["SET", "a", "1"], ["INFO"], ["EVAL", "return 1", "0"]):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)


async def test_services_are_refused_nothing_that_they_do(
    server: Server, stack: Stack, secrets: Secrets, functions: Functions
):
    await stack.dispatcher(redis_url=secrets.url("dispatcher", server.port))
    await stack.scheduler(redis_url=secrets.url("scheduler", server.port))
    await stack.worker(functions, url=secrets.url("worker", server.port))
    client = stack.client
    await client.limits.set("tenant:*", 1)
    runs = [await client.publish("greet", {"name": name}, keys=["tenant:a"]) for name in "abc"]
    runs.append(await client.publish("greet", delay=0.05))
    failing = await client.publish("fail", retry=RetryPolicy(1, delay=0.05))
    await client.cancel((await client.publish("greet", delay=60)).id)
    with redis.Redis.from_url(secrets.url("publisher", server.port)) as publisher:
        publisher.xadd(OWN, {"run": '{"function": "greet", "id": "0123456789abcdef"}'})
    for run in runs:
        assert str(await client.result(run, timeout=20)).startswith("hello")
    await wait_until(lambda: over(client, failing.id, "failed"), description="the run has failed", timeout=20)
    await wait_until(lambda: over(client, "0123456789abcdef", "completed"), description="its run ended", timeout=20)
    assert refusals(secrets.url("operator", server.port)) == []


async def over(client: Client, run: str, state: str) -> bool:
    try:
        return (await client.get(run)).state.value == state
    except RunNotFound:
        return False  # no dispatcher has read it yet


def refusals(url: str) -> list[tuple[str, str]]:
    with redis.Redis.from_url(url) as operator:
        entries = [(entry["username"], entry["object"]) for entry in operator.acl_log()]
    return [(user, what) for user, what in entries if what != "client|setinfo"]  # by which redis-py names itself


@pytest.mark.parametrize("user", ["operator", "scheduler", "dispatcher", "worker"])
async def test_scripts_may_call_all_that_they_call(server: Server, stack: Stack, secrets: Secrets, user: str):
    async with Store(secrets.url("operator", server.port)) as store:
        await Inspection(store.link).refused_commands("default")  # loads the script that asks
    async with Store(secrets.url(user, server.port)) as store:
        refused = await Inspection(store.link).refused_commands("default")
    assert refused == ([] if user in {"operator", "dispatcher"} else ["SCAN"])  # for the doctor and the audit


@pytest.mark.parametrize("user", ["scheduler", "dispatcher", "worker", "operator"])
def test_no_service_may_look_after_the_server_or_touch_what_is_not_of_sluice(
    server: Server, secrets: Secrets, user: str
):
    commands = [
        "FLUSHALL", "FLUSHDB", "CONFIG SET maxmemory 1", "SHUTDOWN", "ACL SETUSER x on", "DEBUG SLEEP 0", "KEYS *",
        "REPLICAOF NO ONE", "SET other 1", "GET other", "CLIENT KILL TYPE normal", "SAVE", "PUBLISH a b", "SWAPDB 0 1",
    ]  # fmt: skip
    with redis.Redis.from_url(secrets.url(user, server.port)) as client:
        for command in commands:
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())
        with pytest.raises(redis.ResponseError, match="(?i)permission|can't access"):
            client.eval("return redis.call('SET', 'other', '1')", 0)


def test_a_publisher_may_only_add_to_its_own_stream_and_read_its_answers(server: Server, secrets: Secrets):
    refused = [
        "XADD sluice:{default}:publish * run {}", "XADD sluice:{default}:publish:other * run {}",
        "XADD sluice:{etl}:publish:publisher * run {}", f"XRANGE {OWN} - +", f"XLEN {OWN}", f"XTRIM {OWN} MAXLEN 0",
        f"XDEL {OWN} 1-1", f"DEL {OWN}", f"XREAD STREAMS {OWN} 0", "XREAD STREAMS sluice:{default}:reply:other 0",
        "GET sluice:{default}:r:1", "SMEMBERS sluice:pools", "EVAL return 0", "SCAN 0", "INFO", "PING",
    ]  # fmt: skip
    with redis.Redis.from_url(secrets.url("publisher", server.port)) as client:
        assert client.xadd(OWN, {"run": "{}"})
        assert not client.xread({"sluice:{default}:reply:publisher-1": "0"})
        for command in refused:
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())


def serves(server: Server) -> bool:
    with redis.Redis(port=server.port, username="health", password="none") as client:
        try:
            return bool(client.ping())
        except BusyLoadingError:
            return False


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_a_restart_of_the_server_keeps_what_scripts_wrote(
    server: Server, stack: Stack, secrets: Secrets, kill: bool
):
    runs = [await stack.client.publish("greet", delay=3600 if n % 2 else None) for n in range(20)]
    with redis.Redis.from_url(secrets.url("operator", server.port)) as operator:
        before = set(operator.scan_iter(count=1000))
    server.restart(kill=kill)
    await wait_until(lambda: serves(server), description="the server has read its file")
    with redis.Redis.from_url(secrets.url("operator", server.port)) as operator:
        assert set(operator.scan_iter(count=1000)) == before
    for run in runs:
        assert (await stack.client.get(run.id)).state.value in {"queued", "scheduled"}
    assert refusals(secrets.url("operator", server.port)) == []
