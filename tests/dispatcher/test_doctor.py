"""The doctor: each fault is there for real, and is found, with a severity and a remedy."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode
from dispatcher.clock import SystemClock
from dispatcher.doctor import Finding, Severity, examine
from dispatcher.store import Joining, Store
from tests.support.processes import Children
from tests.support.servers import EVERY_KIND, Server
from tests.support.stack import Stack
from workers import Functions

ROOT = "sluice:{default}"
SOUND = {"maxmemory": "1gb", "zset-max-listpack-entries": "16"}
KNOWN_RUN = "0190a0b0c0d07000800000000000000a"


async def findings(url: str, clock: SystemClock | None = None) -> list[Finding]:
    async with Store(url) as store:
        return await examine(store, clock or SystemClock(), 50)


async def found(url: str, check: str, clock: SystemClock | None = None) -> Finding:
    """The finding of one check, the worst if there are several; each that is not fine has a remedy."""
    every = await findings(url, clock)
    assert [one for one in every if bool(one.remedy) != (one.severity is not Severity.OK)] == []
    order = list(Severity)
    return max((one for one in every if one.check == check), key=lambda one: order.index(one.severity))


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def joining(name: str, lane: str = "||", version: str = "0.0.1", lease_ms: int = 60_000) -> Joining:
    return Joining(
        name=name,
        lane=lane,
        capacity=1,
        lease_ms=lease_ms,
        type="function",
        auto_start=True,
        info={"version": version, "type": "function"},
    )


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.redis)])
async def test_a_sound_server_has_no_fault(new_server: Callable[..., Server], kind: str) -> None:
    server = new_server(kind, aof=True, settings=SOUND)
    assert [one for one in await findings(server.url) if one.severity is not Severity.OK] == []


@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)
async def test_every_kind_of_server_can_be_looked_at(server: Server, stack: Stack) -> None:
    functions = Functions()

    @functions.register
    async def done() -> None:
        return

    await stack.dispatcher()
    await stack.scheduler()
    await stack.worker(functions)
    await stack.completed([await stack.client.publish("done")])
    every = await findings(server.url)
    assert [one for one in every if one.severity is Severity.ERROR] == []
    assert {"version", "clock", "permissions", "served", "slots", "catalogue"} <= {one.check for one in every}


@pytest.mark.parametrize(
    ("settings", "check", "severity", "said"),
    [
        ({"appendonly": "no"}, "persistence", Severity.WARNING, "no append-only file"),
        ({"appendfsync": "no"}, "persistence", Severity.WARNING, "appendfsync is no"),
        ({"maxmemory-policy": "allkeys-lru"}, "eviction", Severity.ERROR, "allkeys-lru"),
        ({"maxmemory": "0"}, "memory", Severity.WARNING, "not set"),
        ({"maxmemory": "1mb"}, "memory", Severity.WARNING, "of 1 MB"),
        ({"stream-node-max-bytes": "4096"}, "encodings", Severity.WARNING, "stream-node-max-bytes is 4096"),
        ({"zset-max-listpack-entries": "128"}, "encodings", Severity.WARNING, "zset-max-listpack-entries is 128"),
    ],
)
async def test_a_setting_of_the_server_is_found(
    new_server: Callable[..., Server], settings: dict[str, str], check: str, severity: Severity, said: str
) -> None:
    server = new_server(aof=True, settings={**SOUND, **settings})
    every = [one for one in await findings(server.url) if one.severity is not Severity.OK]
    assert [one.check for one in every] == [check] or (check == "memory" and {one.check for one in every} >= {check})
    assert next(one for one in every if one.check == check).severity == severity
    assert said in next(one.finding for one in every if one.check == check)


async def test_a_replica_is_refused(new_server: Callable[..., Server]) -> None:
    first, second = new_server(), new_server()
    second.call("REPLICAOF", "127.0.0.1", first.port)
    one = await found(second.url, "role")
    assert (one.severity, str(first.port) in one.finding) == (Severity.ERROR, True)
    second.call("REPLICAOF", "NO", "ONE")


async def test_a_server_that_is_away_or_refuses_is_a_finding(new_server: Callable[..., Server]) -> None:
    server = new_server(settings={"requirepass": "secret"})
    one = await found(server.url, "server")
    assert (one.severity, "refuses these credentials" in one.finding) == (Severity.ERROR, True)
    server.kill()
    assert (await found(server.url, "server")).severity is Severity.ERROR


@pytest.mark.parametrize(
    ("rules", "check", "severity", "said"),
    [
        ("~sluice:* +@all -config", "config", Severity.WARNING, "could not be looked at"),
        ("~sluice:* +@all -zadd -xinfo", "permissions", Severity.ERROR, "ZADD"),
        ("~sluice:* +@all -eval", "permissions", Severity.OK, "may call"),
        ("~sluice:* +@all -script", "permissions", Severity.WARNING, "may not load scripts"),
        ("~sluice:* +@all -info", "server", Severity.ERROR, "info"),
        ("~other:* +@all", "permissions", Severity.ERROR, "key"),
        ("~sluice:* +@all", "permissions", Severity.OK, "may call"),
    ],
)
async def test_permissions_that_lack_are_named(
    new_server: Callable[..., Server], rules: str, check: str, severity: Severity, said: str
) -> None:
    server = new_server()
    assert server.call("ACL", "SETUSER", "guest", "on", ">word", *rules.split()) == "+OK\r\n"
    one = await found(server.url.replace("//", "//guest:word@"), check)
    assert one.severity == severity
    assert said in one.finding
    assert "word@" not in one.finding


async def test_a_default_user_whose_rules_lose_runs_at_a_restart_is_found(new_server: Callable[..., Server]) -> None:
    server = new_server(aof=True)
    server.call("ACL", "SETUSER", "us", "on", ">word", "allkeys", "allchannels", "allcommands")
    url = server.url.replace("//", "//us:word@")
    assert (await found(url, "default-user")).severity is Severity.OK
    server.call("ACL", "SETUSER", "default", "-hset")
    one = await found(url, "default-user")
    assert (one.severity, "HSET" in one.finding) == (Severity.WARNING, True)
    server.call("ACL", "SETUSER", "default", "+hset")
    assert (await found(url, "default-user")).severity is Severity.OK


async def test_a_clock_that_differs_is_found(redis_url: str) -> None:
    class Late(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() - 3_600_000

    one = await found(redis_url, "clock", Late())
    assert one.severity is Severity.WARNING
    assert "behind the server" in one.finding
    assert (await found(redis_url, "clock")).severity is Severity.OK


async def test_a_pool_that_nobody_serves_is_found(stack: Stack) -> None:
    assert (await found(stack.url, "served")).severity is Severity.OK
    await stack.client.publish("f", queue="etl", labels=["gpu"])
    one = await found(stack.url, "served")
    assert (one.severity, one.pool) == (Severity.ERROR, "default")
    assert "no live worker" in one.finding
    await stack.client.pools.pause("default")
    assert (await found(stack.url, "served")).severity is Severity.WARNING


@pytest.mark.parametrize(
    ("lane", "is_served"),
    [
        ("||", False),
        ("|gpu|", True),
        ("|gpu,other|only", True),
        ("etl|gpu|", True),
        ("e*|gpu|", True),
        ("etl||", False),
        ("other|gpu|", False),
        ("et|gpu|", False),
    ],
)
async def test_a_queue_or_label_that_no_lane_takes_is_found(stack: Stack, lane: str, is_served: bool) -> None:
    async with Store(stack.url) as store:
        await store.workers.join("default", joining("w-1", lane))
        await stack.client.publish("f", queue="etl", labels=["gpu"])
        one = await found(stack.url, "served")
        assert one.severity is (Severity.OK if is_served else Severity.ERROR)
        assert is_served or "queue etl with gpu" in one.finding
        await store.workers.leave("default", "w-1")


async def test_a_run_without_labels_needs_a_lane_that_is_not_only_for_them(stack: Stack) -> None:
    async with Store(stack.url) as store:
        await store.workers.join("default", joining("w-1", "||only"))
        await stack.client.publish("f")
        assert "queue default" in (await found(stack.url, "served")).finding
        await store.workers.leave("default", "w-1")


async def test_leases_that_ended_and_other_versions_are_found(stack: Stack, connection: redis.Redis) -> None:
    async with Store(stack.url) as store:
        await store.workers.join("default", joining("w-1"))
    one = await found(stack.url, "workers")
    assert (one.severity, "1 of 0.0.1" in one.finding) == (Severity.WARNING, True)
    connection.zadd(f"{ROOT}:workers", {"w-1": 1})
    one = await found(stack.url, "workers")
    assert (one.severity, "w-1" in one.finding) == (Severity.WARNING, True)
    await stack.client.publish("f")
    assert (await found(stack.url, "served")).severity is Severity.ERROR


async def test_a_pool_without_a_dispatcher_is_found(stack: Stack, connection: redis.Redis) -> None:
    assert "yet" in (await found(stack.url, "dispatcher")).finding
    async with Store(stack.url) as store:
        await store.care.tick("default")
    assert (await found(stack.url, "dispatcher")).severity is Severity.OK
    connection.hincrby(f"{ROOT}:watch", "tick", -3_600_000)
    one = await found(stack.url, "dispatcher")
    assert (one.severity, "3,60" in one.finding) == (Severity.ERROR, True)


async def test_runs_that_are_overdue_are_found(stack: Stack, connection: redis.Redis) -> None:
    run = await stack.client.publish("f", delay=timedelta(hours=1))
    assert (await found(stack.url, "scheduler")).severity is Severity.OK
    connection.zincrby(f"{ROOT}:due", -7_200_000, f"r{run.id}")
    one = await found(stack.url, "scheduler")
    assert (one.severity, one.finding.startswith("1 runs or deadlines are overdue")) == (Severity.ERROR, True)


async def test_slots_that_leaked_are_found(stack: Stack, connection: redis.Redis) -> None:
    stack.is_sound = False
    over = await stack.client.publish("f")
    await stack.client.cancel(over.id)
    waiting = await stack.client.publish("f")
    assert (await found(stack.url, "slots")).severity is Severity.OK
    connection.zadd(f"{ROOT}:slots:queue:default", {over.id: 1})
    connection.zadd(f"{ROOT}:slots", {KNOWN_RUN: 1, waiting.id: 1})
    one = await found(stack.url, "slots")
    assert one.severity is Severity.ERROR
    assert f"{over.id} (over) in {ROOT}:slots:queue:default" in one.finding
    assert f"{KNOWN_RUN} (unknown) in {ROOT}:slots" in one.finding
    assert waiting.id not in one.finding


async def test_facts_and_keys_of_workers_without_an_owner_are_found(stack: Stack, connection: redis.Redis) -> None:
    stack.is_sound = False
    async with Store(stack.url) as store:
        await store.workers.join("default", joining("w-1"))
        connection.xadd(f"{ROOT}:inbox:w-1", {"drain": ""})
        connection.set(f"{ROOT}:heartbeat:gone", "", ex=600)
        assert (await found(stack.url, "orphans")).severity is Severity.OK
        await store.workers.leave("default", "w-1")
    connection.xadd(f"{ROOT}:inbox:gone", {"drain": ""})
    connection.hset(f"{ROOT}:run:{KNOWN_RUN}", "state", "running")
    assert f"{ROOT}:inbox:gone" in (await found(stack.url, "orphans")).finding
    one = await found(stack.url, "facts")
    assert (one.severity, KNOWN_RUN in one.finding) == (Severity.WARNING, True)


async def test_dead_workers_that_hold_runs_are_found(stack: Stack, connection: redis.Redis) -> None:
    assert (await found(stack.url, "lost")).severity is Severity.OK
    connection.sadd(f"{ROOT}:lost", "w-9")
    assert "w-9" in (await found(stack.url, "lost")).finding
    connection.srem(f"{ROOT}:lost", "w-9")


async def test_runs_that_wait_to_be_adopted_are_found(stack: Stack, connection: redis.Redis) -> None:
    stack.is_sound = False
    assert (await found(stack.url, "adoption")).severity is Severity.OK
    connection.zadd(f"{ROOT}:orphans", {KNOWN_RUN: 1})
    assert "1 runs go on without" in (await found(stack.url, "adoption")).finding


async def test_a_test_clock_that_was_left_is_found(stack: Stack, connection: redis.Redis) -> None:
    connection.set(f"{ROOT}:test-clock", 1)
    assert (await found(stack.url, "test-clock")).severity is Severity.ERROR


async def test_a_catalogue_that_differs_is_found(stack: Stack, connection: redis.Redis) -> None:
    connection.sadd("sluice:pools", "gone")
    one = await found(stack.url, "catalogue")
    assert (one.severity, "gone" in one.finding) == (Severity.WARNING, True)
    connection.srem("sluice:pools", "gone", "default")
    one = await found(stack.url, "catalogue")
    assert (one.severity, "default" in one.finding) == (Severity.ERROR, True)


async def test_more_keys_than_are_looked_at_is_said(
    stack: Stack, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.store.leftovers._ROUNDS", 1)
    monkeypatch.setattr("dispatcher.store.leftovers._PER_ROUND", 10)
    connection.mset({f"other:{number}": "" for number in range(1_000)})
    assert (await found(stack.url, "scan")).severity is Severity.WARNING


def test_the_command_ends_with_1_on_errors_alone_and_prints_json(
    new_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = new_server()

    def doctor(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main(["doctor", *words])
        return int(end.value.code or 0), capsys.readouterr().out

    monkeypatch.setenv("SLUICE_REDIS_URL", server.url)
    code, out = doctor("-o", "json")
    rows = json.loads(out)
    assert code == ExitCode.OK
    assert {row["severity"] for row in rows} == {"ok", "warning"}
    server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    code, out = doctor()
    assert code == ExitCode.FAILED
    assert "error    eviction: maxmemory-policy is allkeys-lru" in out
    assert "         -> CONFIG SET maxmemory-policy noeviction" in out
    server.kill()
    assert doctor("-q")[0] == ExitCode.FAILED


def in_a_child(children: Children, url: str, path: Path) -> list[dict[str, str]]:
    """What the command finds about packages, with a folder at the front of the path."""
    child = children.python(
        "-c",
        "from dispatcher.cli import main; main(['doctor', '-o', 'jsonl'])",
        env={"PYTHONPATH": str(path), "SLUICE_REDIS_URL": url},
    )
    child.wait(60)
    rows = [json.loads(line) for line in child.text().splitlines() if line.startswith("{")]
    return [row for row in rows if row["check"] == "packages"]


def test_a_folder_that_shadows_a_package_is_found(children: Children, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "front" / "workers").mkdir(parents=True)
    (tmp_path / "front" / "workers" / "__init__.py").touch()
    (tmp_path / "front" / "scheduler.py").touch()
    rows = in_a_child(children, redis_url, tmp_path / "front")
    assert [row["severity"] for row in rows] == ["ok", "error", "error"]
    assert f"{tmp_path / 'front' / 'workers'} (a folder on sys.path)" in rows[1]["finding"]
    assert str(tmp_path / "front" / "scheduler.py") in rows[2]["finding"]


def test_files_that_another_distribution_replaced_are_found(children: Children, redis_url: str, tmp_path: Path) -> None:
    site = installed(tmp_path / "site")
    assert [row["severity"] for row in in_a_child(children, redis_url, site)] == ["ok", "ok", "ok"]
    (site / "scheduler" / "__init__.py").write_text("# somebody else's\n")
    distribution(site, "scheduler", ["scheduler/__init__.py,,"])
    rows = in_a_child(children, redis_url, site)
    assert [row["severity"] for row in rows] == ["ok", "ok", "error"]
    assert "(of the distribution scheduler): scheduler/__init__.py" in rows[2]["finding"]


def installed(site: Path) -> Path:
    """Our packages as a wheel leaves them, with a RECORD."""
    import base64
    import hashlib
    import shutil

    source, lines = Path(__file__).resolve().parents[2], list[str]()
    for name in ("dispatcher", "workers", "scheduler"):
        shutil.copytree(source / name, site / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in sorted((site / name).rglob("*.py")):
            digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            lines.append(f"{path.relative_to(site)},sha256={digest},{path.stat().st_size}")
    distribution(site, "sluice-dispatcher", lines)
    return site


def distribution(site: Path, name: str, lines: list[str]) -> None:
    folder = site / f"{name.replace('-', '_')}-0.0.9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.9\n")
    (folder / "RECORD").write_text("\n".join(lines) + "\n")
    if name == "sluice-dispatcher":
        (folder / "entry_points.txt").write_text("[sluice.commands]\nworker = workers.cli:app\n")
