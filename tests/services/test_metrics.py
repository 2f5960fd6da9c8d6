"""What every dispatcher exports of pools, queues and workers: all of it, right, cheap, and only what is known."""

import time
from collections.abc import Callable

import pytest
import redis

from dispatcher import Client, Publish
from dispatcher.clock import SystemClock
from dispatcher.collector import Observer
from dispatcher.errors import PoolNotFound
from dispatcher.metrics import FAMILIES, QueueLabels
from dispatcher.names import lane_name
from dispatcher.store import Joining, Store
from tests.support.processes import Children
from tests.support.scraping import Scrape
from tests.support.servers import EVERY_KIND, Server
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness

ABSENT_WITHOUT = {"pool_concurrency_limit", "queue_concurrency_limit", "redis_aof_ok"}
# Rules and dashboards name these: a change breaks them.
CONTRACT = """
pool_info pool type
pool_concurrency_limit pool
pool_slots_used pool
pool_paused pool
pool_runs pool state
pool_admissible_runs pool
pool_desired_workers pool
queue_info pool queue priority
queue_queued_runs pool queue
queue_slots_used pool queue
queue_concurrency_limit pool queue
queue_paused pool queue
queue_oldest_queued_age_seconds pool queue
queue_start_target_seconds pool queue
workers pool status
worker_slots pool
worker_slots_used pool
worker_oldest_heartbeat_age_seconds pool
open_sweeps pool
runs_published_total pool queue
runs_admitted_total pool queue
runs_finished_total pool queue outcome
runs_retried_total pool queue
runs_reclaimed_total pool queue
runs_dead_lettered_total pool queue
run_starts_total pool queue
run_starts_in_time_total pool queue
run_queue_seconds pool queue
run_duration_seconds pool queue
redis_up
redis_config_ok check
redis_memory_bytes
redis_memory_limit_bytes
redis_connected_clients
redis_blocked_clients
redis_evicted_keys_total
redis_commands_total
redis_aof_ok
redis_script_seconds_total command
redis_scripts_total command
"""


async def joined(store: Store, name: str, capacity: int, pool: str = "default") -> None:
    """A worker that is there as far as Redis knows."""
    await store.workers.join(pool, Joining(name, lane_name(), capacity, 15_000, "function", auto_start=True, info={}))


async def by_hand(url: str) -> None:
    """Three queues, one worker of 4 slots, ends of every kind that a worker can hand in at once."""
    async with Client(url) as client, Store(url) as store:
        await client.pools.create("default", limit=10)
        await client.queues.create("etl", priority=2, limit=4, start_within=30)
        await client.queues.create("off", priority=3, paused=True)
        await client.publish_many(["f"] * 3)
        await client.publish("f", delay=3600)
        for _ in range(6):
            await client.publish("f", queue="etl")
        for _ in range(2):
            await client.publish("f", queue="off")
        await joined(store, "w1", 4)
        taken = (await store.workers.turn("default", "w1", 0, offer=True, ends=())).runs
        ends = [("completed", "", b""), ("failed", "retries_spent", b""), ("retry", "0", b"")]
        flat = [part for run, end in zip(taken, ends, strict=False) for part in (run.id, run.token, *end)]
        await store.workers.turn("default", "w1", 4, offer=False, ends=flat)


def test_the_names_and_labels_are_those_that_rules_and_dashboards_use() -> None:
    said = {words[0]: tuple(words[1:]) for words in (line.split() for line in CONTRACT.split("\n") if line)}
    assert {name: family.labels for name, family in FAMILIES.items()} == said
    assert {name for name, family in FAMILIES.items() if family.kind == "counter"} == {
        name for name in said if name.endswith("_total")
    }


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.redis)])
async def test_everything_is_exported(new_server: Callable[..., Server], kind: str) -> None:
    server = new_server(kind, aof=True)
    await by_hand(server.url)
    assert Scrape(server.url).names == FAMILIES.keys()


@pytest.mark.parametrize("server", EVERY_KIND[:2], indirect=True)
async def test_the_numbers_are_those_that_were_worked_out_by_hand(server: Server) -> None:
    await by_hand(server.url)
    found = Scrape(server.url)
    assert found.values("pool_runs", pool="default") == {
        "scheduled": 1, "queued": 8, "held": 1, "suspended": 0, "orphaned": 0, "dead": 1,
    }  # fmt: skip
    assert found.value("pool_concurrency_limit", pool="default") == 10
    assert found.value("pool_slots_used", pool="default") == 1
    assert found.value("pool_admissible_runs", pool="default") == 1 + 3  # default has one, etl room for three of five
    assert found.value("pool_desired_workers", pool="default") == 2  # (1 held + 4) / 4
    assert found.values("workers", pool="default") == {"online": 1, "draining": 0, "silent": 0}
    assert (found.value("worker_slots", pool="default"), found.value("worker_slots_used", pool="default")) == (4, 1)
    assert found.values("queue_queued_runs", pool="default") == {"default": 1, "etl": 5, "off": 2}
    assert found.values("queue_slots_used", pool="default") == {"default": 0, "etl": 1, "off": 0}
    assert found.values("queue_paused", pool="default") == {"default": 0, "etl": 0, "off": 1}
    assert found.values("queue_concurrency_limit", pool="default") == {"etl": 4}
    assert found.values("queue_start_target_seconds", pool="default") == {"default": 60, "etl": 30, "off": 60}
    assert found.values("runs_published_total", pool="default") == {"default": 4, "etl": 6, "off": 2}
    for name in ("runs_admitted_total", "run_starts_total", "run_starts_in_time_total", "run_queue_seconds_count"):
        assert found.values(name, pool="default") == {"default": 3, "etl": 1, "off": 0}, name
    assert found.values("runs_finished_total", pool="default", queue="default") == {
        "completed": 1, "failed": 1, "crashed": 0, "cancelled": 0, "expired": 0,
    }  # fmt: skip
    assert found.values("run_duration_seconds_count", pool="default") == {"default": 2, "etl": 0, "off": 0}
    assert found.values("runs_retried_total", pool="default") == {"default": 1, "etl": 0, "off": 0}
    assert found.values("runs_dead_lettered_total", pool="default") == {"default": 1, "etl": 0, "off": 0}
    assert found.values("redis_config_ok") == {"eviction": 1, "persistence": 0, "version": 1}
    assert (found.value("redis_scripts_total", command="evalsha") or 0) > 5


async def test_waits_and_durations_are_measured_by_the_servers_clock(redis_url: str) -> None:
    async with Client(redis_url) as client, Store(redis_url) as store:
        with redis.Redis.from_url(redis_url) as connection:
            connection.set("sluice:{default}:test-clock", 1)
            start = connection.time()[0] * 1000
        await client.pools.create("default")
        await client.queues.create("quick", start_within=10)
        await client.publish("f", queue="quick")
        await client.publish("f")
        store.link.now_ms = start + 40_000
        await joined(store, "w", 2)
        taken = (await store.workers.turn("default", "w", 0, offer=True, ends=())).runs
        store.link.now_ms = start + 40_000 + 7_000
        flat = [part for run in taken for part in (run.id, run.token, "completed", "", b"")]
        await store.workers.turn("default", "w", 2, offer=False, ends=flat)
    found = Scrape(redis_url)
    for queue, in_time in (("quick", 0), ("default", 1)):
        at = {"pool": "default", "queue": queue}
        waits = found.values("run_queue_seconds_bucket", **at)
        assert (waits["15.0"], waits["60.0"], waits["+Inf"]) == (0, 1, 1)
        assert 38 <= (found.value("run_queue_seconds_sum", **at) or 0) <= 41
        assert found.value("run_starts_in_time_total", **at) == in_time
        ran = found.values("run_duration_seconds_bucket", **at)
        assert (ran["5.0"], ran["15.0"]) == (0, 1)
        assert found.value("run_duration_seconds_sum", **at) == 7


async def test_a_run_that_comes_back_waits_from_then_on(redis_url: str) -> None:
    async with Client(redis_url) as client, Store(redis_url) as store:
        with redis.Redis.from_url(redis_url) as connection:
            connection.set("sluice:{default}:test-clock", 1)
            start = connection.time()[0] * 1000
        await client.pools.create("default")
        await client.publish("f")
        store.link.now_ms = start
        await joined(store, "w", 1)
        (run,) = (await store.workers.turn("default", "w", 0, offer=True, ends=())).runs
        store.link.now_ms = start + 100_000
        end = (run.id, run.token, "return", "", b"")
        await store.workers.turn("default", "w", 1, offer=False, ends=end)
        store.link.now_ms = start + 103_000
        await store.workers.turn("default", "w", 1, offer=True, ends=())
    found = Scrape(redis_url)
    assert found.values("run_queue_seconds_bucket", pool="default", queue="default")["5.0"] == 2
    assert 3 <= (found.value("run_queue_seconds_sum", pool="default", queue="default") or 0) < 5


@pytest.mark.parametrize("keys", [[], ["tenant:a"]])
async def test_the_oldest_run_is_found(redis_url: str, keys: list[str]) -> None:
    """Under a full key, too: its bucket is parked."""
    async with Client(redis_url) as client, Store(redis_url) as store:
        await client.pools.create("default")
        await client.limits.set("tenant:a", 0)
        first = await client.publish("f", keys=keys, queue="q")
        await client.publish("f", keys=["tenant:b", *keys][:2], queue="q", labels=["gpu"])
        if keys:
            await joined(store, "w", 1)
            assert not (await store.workers.turn("default", "w", 0, offer=True, ends=())).runs
        else:
            await client.queues.pause("q")
        with redis.Redis.from_url(redis_url) as connection:
            clock = "sluice:{default}:test-clock"
            connection.set(clock, 1)
            now = connection.time()[0] * 1000 + 500_000
        snapshot = await store.snapshots.read("default")
        queue = next(queue for queue in snapshot.queues if queue.name == "q")
        published = (await client.get(first)).published_at
        assert published is not None
        assert abs(queue.oldest_ms - published.timestamp() * 1000) < 1_000
        assert now - queue.oldest_ms > 400_000
        age = Scrape(redis_url).value("queue_oldest_queued_age_seconds", pool="default", queue="q")
        assert age is not None
        assert 0 <= age < 60


async def test_workers_are_told_apart(redis_url: str) -> None:
    async with Client(redis_url) as client, Store(redis_url) as store:
        with redis.Redis.from_url(redis_url) as connection:
            connection.set("sluice:{default}:test-clock", 1)
            start = connection.time()[0] * 1000
        await client.pools.create("default")
        store.link.now_ms = start
        for name in ("quiet", "going", "well"):
            await joined(store, name, 3)
        await store.workers.drain("default", "going")
        store.link.now_ms = start + 12_000
        for name in ("well", "going"):
            await store.workers.turn("default", name, 0, offer=False, ends=())
        store.link.now_ms = start + 16_000
        workers = (await store.snapshots.read("default")).workers
    assert (workers.online, workers.draining, workers.silent, workers.slots) == (1, 1, 1, 6)
    assert workers.unheard_ms == 4_000


async def test_counts_go_with_their_queue(redis_url: str) -> None:
    async with Client(redis_url) as client:
        await client.pools.create("default")
        run = await client.publish("f", queue="brief")
        await client.cancel(run)
        assert Scrape(redis_url).value("runs_published_total", pool="default", queue="brief") == 1
        await client.queues.delete("brief")
        assert Scrape(redis_url).value("runs_published_total", pool="default", queue="brief") is None
        await client.publish("f", queue="brief")
    assert Scrape(redis_url).value("runs_published_total", pool="default", queue="brief") == 1


async def test_a_thousand_runs_are_counted_exactly_although_a_worker_is_killed(
    stack: Stack, children: Children, witness: Witness
) -> None:
    await stack.dispatcher()
    victim = await stack.worker_process(children, witness, limit=50)
    runs = await stack.client.publish_many([Publish("work", {"name": f"r{n}", "seconds": 0.01}) for n in range(900)])
    runs += await stack.client.publish_many([Publish("work", {"name": f"s{n}", "seconds": 1}) for n in range(100)])
    await wait_until(lambda: any(name[0] == "s" for name in witness.count("start")), description="long ones run")
    victim.send(9)
    witness.died(victim.pid)
    await stack.worker_process(children, witness, limit=100)
    await stack.completed(runs, timeout=60)
    await wait_until(lambda: not Scrape(stack.url).value("pool_slots_used", pool="default"), description="all is told")
    found = Scrape(stack.url)
    at = {"pool": "default", "queue": "default"}
    reclaimed = found.value("runs_reclaimed_total", **at) or 0
    assert 1 <= reclaimed <= 50
    assert found.value("runs_published_total", **at) == 1_000
    assert found.values("runs_finished_total", **at) == {
        "completed": 1_000, "failed": 0, "crashed": 0, "cancelled": 0, "expired": 0,
    }  # fmt: skip
    assert found.value("runs_admitted_total", **at) == 1_000 + reclaimed
    assert found.value("run_queue_seconds_count", **at) == 1_000 + reclaimed
    assert found.value("run_duration_seconds_count", **at) == 1_000
    assert found.values("pool_runs", pool="default")["queued"] == 0


def main_thread_ms(connection: "redis.Redis") -> float:
    """CPU time of the thread that executes commands: unlike time in commands, it is not that of other processes."""
    info = connection.info("cpu")
    return 1000 * (float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"]))


@pytest.mark.parametrize("server", EVERY_KIND[:2], indirect=True)
async def test_two_hundred_queues_are_scraped_in_15_ms_of_server_time(server: Server) -> None:
    async with Client(server.url) as client, Store(server.url) as store:
        await client.pools.create("default")
        await client.limits.set("tenant:*", 1)
        for queue in range(200):
            await client.publish_many([Publish("f", options={"queue": f"q{queue}", "labels": ["gpu"]})] * 5)
            await client.publish_many(
                [Publish("f", options={"queue": f"q{queue}", "keys": [f"tenant:{queue % 7}"]})] * 5
            )
        for number in range(50):
            await joined(store, f"w{number}", 4)
            await store.workers.turn("default", f"w{number}", 0, offer=True, ends=())
    with redis.Redis.from_url(server.url, decode_responses=True) as connection:
        words = {f"{letter}{bound}": 123_456 for letter in "wd" for bound in (10, 100, 1000, 60000, 3600000, "")}
        for queue in range(200):
            connection.hset(f"sluice:{{default}}:counts:q{queue}", mapping=words | dict.fromkeys(COUNTED, 123_456))
        Scrape(server.url)
        spent, calls = [], []
        for _ in range(10):
            connection.config_resetstat()
            before = main_thread_ms(connection)
            found = Scrape(server.url)
            spent.append(main_thread_ms(connection) - before)
            calls.append(connection.info("commandstats")["cmdstat_evalsha_ro"]["usec"] / 1000)
    print(f"a scrape: {min(spent):.1f} ms of the server's CPU, {min(calls):.1f} ms in the script")
    assert min(spent) <= 15, (spent, calls)
    assert found.value("runs_published_total", pool="default", queue="q199") == 123_456
    assert found.series(queue="q199") <= 150


COUNTED = ("published", "completed", "failed", "crashed", "cancelled", "expired", "retried", "reclaimed", "dead",
           "late", "waited", "ran")  # fmt: skip


@pytest.mark.fault(51)
async def test_more_queues_than_labels_are_counted_as_other(redis_url: str) -> None:
    async with Client(redis_url) as client, Store(redis_url) as store:
        await client.pools.create("default")
        for number in range(600):
            await client.publish("f", queue=f"q{number:03}")
        snapshot = await store.snapshots.read("default")
    assert len(snapshot.queues) == 601
    found = Scrape(redis_url)
    published = found.values("runs_published_total", pool="default")
    assert len(published) == 501
    assert published["other"] == 101
    assert sum(published.values()) == 600
    assert found.value("queue_queued_runs", pool="default", queue="other") == 101
    assert "other" not in found.values("queue_paused", pool="default")
    assert found.values("pool_runs", pool="default")["queued"] == 600


def test_a_queue_that_is_gone_makes_room_for_another_label() -> None:
    labels = QueueLabels(most=2)
    assert [labels.label("p", queue) for queue in ("a", "b", "c", "a", "other")] == ["a", "b", "other", "a", "other"]
    labels.keep({("p", "b"), ("p", "c")})
    assert [labels.label("p", queue) for queue in ("c", "b", "a")] == ["c", "b", "other"]


@pytest.mark.fault(52)
async def test_without_redis_nothing_is_claimed(new_server: Callable[..., Server]) -> None:
    server = new_server(aof=True)
    await by_hand(server.url)
    assert Scrape(server.url).value("redis_up") == 1
    server.freeze()
    began = time.monotonic()
    found = Scrape(server.url)
    assert (found.names, found.value("redis_up")) == ({"redis_up"}, 0)
    assert time.monotonic() - began < 8
    server.thaw()
    server.kill()
    assert (Scrape(server.url).names, Scrape(server.url).value("redis_up")) == ({"redis_up"}, 0)
    server.start()
    assert Scrape(server.url).names == FAMILIES.keys()


async def test_what_is_absent_says_so_by_being_absent(redis_url: str) -> None:
    async with Client(redis_url) as client:
        await client.pools.create("default")
    found = Scrape(redis_url)
    assert found.names == FAMILIES.keys() - ABSENT_WITHOUT
    assert found.value("pool_desired_workers", pool="default") == 0


async def test_a_pool_that_cannot_be_read_leaves_the_others_alone(redis_url: str) -> None:
    async with Client(redis_url) as client:
        for pool in ("bad", "good"):
            await client.pools.create(pool)
        with redis.Redis.from_url(redis_url) as connection:
            connection.sadd("sluice:pools", "gone")
            connection.set("sluice:{bad}:depth", "no hash")
    found = Scrape(redis_url)
    assert found.values("pool_paused") == {"good": 0}
    assert found.value("redis_up") == 1


async def test_64_pools_are_read(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with Client(redis_url) as client:
        for number in range(66):
            await client.pools.create(f"p{number:02}")
        await client.publish("f", pool="p65")
    assert len(Scrape(redis_url).values("pool_paused")) == 64
    assert "pools.unread" in capsys.readouterr().err
    observer = Observer(redis_url, SystemClock())
    assert observer.autoscale("p65").queued == 1
    with pytest.raises(PoolNotFound):
        observer.autoscale("p66")
    observer.close()
