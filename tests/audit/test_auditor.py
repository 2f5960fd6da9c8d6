"""Auditors: who has the turn, what is kept, what is trimmed, and what a running dispatcher makes of it."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from dispatcher import Client
from dispatcher.auditing import Auditor, audit_pool, auditor
from dispatcher.auditing.walk import Walk
from dispatcher.clock import SystemClock
from dispatcher.names import lane_name
from dispatcher.store import Joining, Store
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions

ROOT = "sluice:{default}"
TURN_MS = 5_000


class SetClock(SystemClock):
    """Monotonic time that only goes when told."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def connection(redis_url: str) -> "Iterator[redis.Redis]":
    with redis.Redis.from_url(redis_url, decode_responses=True) as connected:
        yield connected


@pytest.fixture
async def store(redis_url: str, connection: "redis.Redis") -> AsyncIterator[Store]:
    """A pool whose time is `store.link.now_ms`."""
    async with Client(redis_url) as client, Store(redis_url) as opened:
        await client.pools.create("default", if_missing=True)
        connection.set(f"{ROOT}:test-clock", 1)
        opened.link.now_ms = 1_800_000_000_000
        yield opened


async def settled(one: Auditor) -> list[str]:
    """Step until there is nothing more to fold; what was found."""
    found: list[str] = []
    for _ in range(100):
        pause = await one.step()
        found += [f"{violation.what} {violation.word}" for violation in one.violations]
        if pause:
            return found
    raise AssertionError("it never comes to an end")


def tell(connection: "redis.Redis", *lines: str) -> None:
    connection.xadd(f"{ROOT}:events", {"e": "\n".join(lines)})


async def test_one_at_a_time_has_the_turn_and_the_next_goes_on_from_its_checkpoint(
    store: Store, connection: "redis.Redis"
) -> None:
    clock = SetClock()
    first, second = Auditor(store.audit, "default", "a", clock), Auditor(store.audit, "default", "b", clock)
    assert await settled(first) == []
    assert 0 < await second.step() <= TURN_MS / 1000
    tell(connection, "published queued run-1", "finished cancelled run-1")
    clock.seconds += auditor.KEEP_SECONDS + 1
    assert await settled(first) == []
    kept = connection.hget(f"{ROOT}:audit", "position")
    clock.seconds += auditor.KEEP_SECONDS + 1
    assert await settled(first) == []
    assert connection.hget(f"{ROOT}:audit", "position") > kept  # the position that it had reached before
    tell(connection, "started w run-9")
    store.link.now_ms += TURN_MS + 1
    assert await settled(second) == ["repeated run-9"]
    assert not second.rebuilt
    assert 0 < await first.step() <= TURN_MS / 1000  # it was away: the turn is another's
    assert connection.hget(f"{ROOT}:audit", "auditor") == "b"


async def test_the_turn_of_one_that_is_gone_runs_out_though_the_clock_was_set_back(
    store: Store, connection: "redis.Redis"
) -> None:
    clock = SetClock()
    first, second = Auditor(store.audit, "default", "a", clock), Auditor(store.audit, "default", "b", clock)
    assert await settled(first) == []
    store.link.now_ms -= 3_600_000
    assert await second.step() == TURN_MS / 1000
    store.link.now_ms += TURN_MS
    assert await settled(second) == []
    assert connection.hget(f"{ROOT}:audit", "auditor") == "b"


async def test_the_turn_is_left_to_others_after_a_while(store: Store, connection: "redis.Redis") -> None:
    clock = SetClock()
    one = Auditor(store.audit, "default", "a", clock)
    await settled(one)
    clock.seconds += auditor.TURN_SECONDS + 1
    assert await one.step() > TURN_MS / 1000
    last = connection.xrevrange(f"{ROOT}:events", count=1)[0][0]
    assert connection.hget(f"{ROOT}:audit", "position") == last


async def test_what_was_trimmed_before_it_was_folded_is_counted_and_the_fold_begins_anew(
    store: Store, connection: "redis.Redis"
) -> None:
    clock = SetClock()
    one = Auditor(store.audit, "default", "a", clock)
    await settled(one)
    clock.seconds += auditor.KEEP_SECONDS + 1
    await settled(one)
    tell(connection, "published queued run-1")
    connection.xtrim(f"{ROOT}:events", maxlen=1, approximate=False)
    connection.hset(f"{ROOT}:depth", "default", 1)
    await one.step()
    assert one.rebuilt
    assert connection.hget(f"{ROOT}:audit", "rebuilt") == "1"
    assert [found for found in await settled(one) if not found.startswith("miscounted")] == []


async def test_events_are_trimmed_behind_the_checkpoint_alone(store: Store, connection: "redis.Redis") -> None:
    clock = SetClock()
    one = Auditor(store.audit, "default", "a", clock)
    await settled(one)
    with connection.pipeline(transaction=False) as pipe:
        for number in range(6_000):
            pipe.xadd(f"{ROOT}:events", {"e": f"pool limit {number}"})
        pipe.execute()
    begun = connection.xlen(f"{ROOT}:events")
    await settled(one)
    assert connection.xlen(f"{ROOT}:events") == begun  # folded, but not kept yet
    for _ in range(2):
        clock.seconds += auditor.KEEP_SECONDS + 1
        await settled(one)
    assert 4_096 <= connection.xlen(f"{ROOT}:events") < 4_200
    kept = connection.hget(f"{ROOT}:audit", "position")
    assert connection.xrange(f"{ROOT}:events", kept, kept)


async def test_events_that_put_runs_elsewhere_than_they_are_are_found_and_recorded(
    store: Store, connection: "redis.Redis"
) -> None:
    clock = SetClock()
    one = Auditor(store.audit, "default", "a", clock)
    await settled(one)
    tell(connection, "published queued run-1 run-2", "admitted w run-2")
    clock.seconds += auditor.COMPARE_SECONDS + 1
    assert await settled(one) == ["unbalanced waiting=0,told=1", "unbalanced run-2"]
    for _ in range(3):  # what was found once is not found again: the checkpoint of before is not gone back to
        clock.seconds += auditor.COMPARE_SECONDS + 1
        assert await settled(one) == []
    tell(connection, "finished completed run-2")
    tell(connection, "finished completed run-2")
    assert "repeated run-2" in await settled(one)
    await settled(one)
    told = [entry["e"] for _, entry in connection.xrange(f"{ROOT}:events")]
    assert any("violated repeated run-2" in lines for lines in told)


async def test_what_was_put_right_is_not_told_by_the_events_and_not_missed_in_them(
    store: Store, connection: "redis.Redis"
) -> None:
    clock = SetClock()
    one = Auditor(store.audit, "default", "a", clock)
    await settled(one)
    connection.hset(f"{ROOT}:depth", "default", 3)
    assert "miscounted default" in await settled(one)
    for _ in range(3):
        clock.seconds += auditor.COMPARE_SECONDS + 1
        assert await settled(one) == []


async def test_what_is_wrong_and_cannot_be_put_right_does_not_begin_the_fold_anew(
    store: Store, connection: "redis.Redis"
) -> None:
    joining = Joining("w-1", lane_name(), 1, 9_000_000, "function", auto_start=True, info={})
    await store.workers.join("default", joining)
    async with Client(store.link.url) as client:
        await client.publish("f")
    await store.workers.turn("default", "w-1", 0, offer=True, ends=())
    connection.hset(ROOT, "limit", 0)
    one = Auditor(store.audit, "default", "a", SetClock())
    assert await settled(one) == ["over_limit slots"]
    assert await settled(one) == ["over_limit slots"]
    assert not connection.hexists(f"{ROOT}:audit", "rebuilt")


async def test_keys_are_looked_at_where_more_slots_are_held_than_can_be_told(
    store: Store, connection: "redis.Redis"
) -> None:
    connection.zadd(f"{ROOT}:slots", {f"run-{number}": 1 for number in range(4_097)})
    one = Auditor(store.audit, "default", "a", SetClock())
    await one.step()
    assert len([found for found in one.violations if found.what == "leaked"]) == 64


async def test_a_small_pool_beside_a_large_one_is_walked_in_few_steps(store: Store, connection: "redis.Redis") -> None:
    async with Client(store.link.url) as client:
        lost = await client.publish("f")
    connection.delete(f"{ROOT}:backlog:default|")
    for start in range(0, 40_000, 1_000):
        connection.mset({f"sluice:{{other}}:r:{number}": "" for number in range(start, start + 1_000)})
    walk, steps, found = Walk(store.audit, "default", auditor.KEYS_AT_ONCE, repair=False), 0, []
    while not walk.is_over:
        _, violations = await walk.step()
        found += [f"{violation.what} {violation.word}" for violation in violations]
        steps += 1
    assert f"lost {lost.id}" in found
    assert steps < 40_000 / auditor.KEYS_AT_ONCE / 2
    connection.flushdb()


async def test_a_run_that_waits_beside_an_idle_worker_is_found(store: Store, connection: "redis.Redis") -> None:
    clock = SetClock()
    async with Client(store.link.url) as client:
        await client.pools.update("default", paused=True)
        joining = Joining("w-1", lane_name(), 1, 9_000_000, "function", auto_start=True, info={})
        await store.workers.join("default", joining)
        await store.workers.turn("default", "w-1", 0, offer=True, ends=())
        await client.publish("f")
    one = Auditor(store.audit, "default", "a", clock)
    for is_paused, expected in ((1, []), (1, []), (0, []), (0, ["stalled default|"])):
        connection.hset(ROOT, "paused", is_paused)
        clock.seconds += auditor.COMPARE_SECONDS + 1
        assert await settled(one) == expected


async def test_a_pool_that_is_gone_is_nothing_to_audit(store: Store, connection: "redis.Redis") -> None:
    one = Auditor(store.audit, "default", "a", SetClock())
    await settled(one)
    connection.delete(*connection.keys(f"{ROOT}*"))
    assert await settled(one) == []
    assert connection.keys(f"{ROOT}*") == []


async def test_nothing_is_found_while_runs_come_and_go(stack: Stack, connection: "redis.Redis") -> None:
    """Keys that were found by a walk may be gone when they are looked at."""
    functions = Functions()

    @functions.register
    async def done() -> None:
        return

    await stack.dispatcher()
    await stack.scheduler()
    await stack.worker(functions, limit=50)
    async with Store(stack.url) as store:
        for _ in range(10):
            runs = [await stack.client.publish("done", delay=0.001 * (n % 2)) for n in range(30)]
            report = await audit_pool(store.audit, "default")
            assert report.violations == []
            assert report.looked > 0
            await stack.completed(runs)
    assert not any("violated" in entry["e"] for _, entry in connection.xrange(f"{ROOT}:events"))


async def test_a_running_dispatcher_finds_a_lost_run_and_it_is_executed(
    stack: Stack, connection: "redis.Redis"
) -> None:
    functions = Functions()

    @functions.register
    async def done() -> None:
        return

    await stack.client.pools.update("default", paused=True)
    run = await stack.client.publish("done")
    connection.delete(f"{ROOT}:backlog:default|")
    await stack.dispatcher()
    await stack.worker(functions)

    def is_told() -> bool:
        return any(f"violated lost {run.id}" in entry["e"] for _, entry in connection.xrange(f"{ROOT}:events"))

    await wait_until(is_told, description="the run that was lost is found")
    await stack.client.pools.update("default", paused=False)
    await stack.completed([run])
