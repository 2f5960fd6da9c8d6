"""Each kind of violation, made by hand: it is found, told, and put right where that is safe."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from dispatcher import Client, Publish
from dispatcher.auditing import KINDS, audit_pool
from dispatcher.names import lane_name
from dispatcher.store import Joining, Store

ROOT = "sluice:{default}"
KEYED = "default||tenant:acme"


@dataclass
class Scene:
    """A pool without services: one run each that is over, in hand, queued, scheduled; a worker that holds its lease."""

    store: Store
    client: Client
    connection: "redis.Redis"
    over: str
    held: str
    queued: str
    scheduled: str

    async def found(self, *, repair: bool = False) -> set[str]:
        report = await audit_pool(self.store.audit, "default", repair=repair)
        return {f"{one.what} {one.word}" for one in report.violations}


@pytest.fixture
def connection(redis_url: str) -> "Iterator[redis.Redis]":
    with redis.Redis.from_url(redis_url, decode_responses=True) as connected:
        yield connected


@pytest.fixture
async def scene(redis_url: str, connection: "redis.Redis") -> AsyncIterator[Scene]:
    async with Client(redis_url) as client, Store(redis_url) as store:
        await client.pools.create("default", if_missing=True)
        await client.limits.set("tenant:*", 1)
        await store.workers.join(
            "default", Joining("w-1", lane_name(), 2, 600_000, "function", auto_start=True, info={})
        )
        runs = [await client.publish("f", keys=["tenant:acme"]) for _ in range(3)]
        later = await client.publish("f", delay=600)
        turn = await store.workers.turn("default", "w-1", 0, offer=True, ends=())
        ended = (turn.runs[0].id, turn.runs[0].token, "completed", "", b"")
        turn = await store.workers.turn("default", "w-1", turn.last, offer=True, ends=ended)
        yield Scene(store, client, connection, runs[0].id, turn.runs[0].id, runs[2].id, later.id)


def lose_a_queued_run(at: Scene) -> None:
    at.connection.delete(f"{ROOT}:backlog:{KEYED}")


def lose_a_scheduled_run(at: Scene) -> None:
    at.connection.zrem(f"{ROOT}:due", f"r{at.scheduled}")


def leave_a_ghost_in_the_backlog(at: Scene) -> None:
    at.connection.xadd(f"{ROOT}:backlog:{KEYED}", {"i": at.over})


def leave_a_ghost_in_front(at: Scene) -> None:
    at.connection.zadd(f"{ROOT}:front:{KEYED}", {"0190a0b0c0d07000800000000000000a": 1})


def leak_a_slot(scope: str) -> Callable[[Scene], None]:
    def leak(at: Scene) -> None:
        at.connection.zadd(f"{ROOT}:slots{scope}", {at.over: 1})

    leak.__name__ = f"leak_a_slot{scope}"
    return leak


def leak_facts(at: Scene) -> None:
    at.connection.hset(f"{ROOT}:run:{at.over}", "state", "running")


def take_a_slot_away(at: Scene) -> None:
    at.connection.zrem(f"{ROOT}:slots:key:tenant:acme", at.held)


def strand_a_run(at: Scene) -> None:
    at.connection.zrem(f"{ROOT}:slots:worker:w-1", at.held)


def forget_a_worker(at: Scene) -> None:
    at.connection.zrem(f"{ROOT}:workers", "w-1")


def queue_a_held_run(at: Scene) -> None:
    at.connection.zadd(f"{ROOT}:front:{KEYED}", {at.held: 1})


def unpark_a_bucket(at: Scene) -> None:
    at.connection.zrem(f"{ROOT}:parked", KEYED)


def miscount(at: Scene) -> None:
    at.connection.hincrby(f"{ROOT}:depth", "default", 3)


def miscount_what_is_scheduled(at: Scene) -> None:
    at.connection.hincrby(f"{ROOT}:later", "default", 2)


def forget_how_many_are_scheduled(at: Scene) -> None:
    at.connection.hdel(f"{ROOT}:later", "default")


def ask_for_slots_of_nobody(at: Scene) -> None:
    at.connection.zadd(f"{ROOT}:resuming", {at.over: 1})


def leave_an_orphan_of_nobody(at: Scene) -> None:
    at.connection.zadd(f"{ROOT}:orphans", {at.over: 9e12})


FAULTS: list[tuple[Callable[[Scene], None], Callable[[Scene], set[str]]]] = [
    (lose_a_queued_run, lambda at: {f"lost {at.queued}", "miscounted default"}),
    (lose_a_scheduled_run, lambda at: {f"lost {at.scheduled}", "miscounted default"}),
    (leave_a_ghost_in_the_backlog, lambda at: {f"ghost {at.over}", "miscounted default"}),
    (leave_a_ghost_in_front, lambda _: {"ghost 0190a0b0c0d07000800000000000000a", "miscounted default"}),
    (leak_a_slot(""), lambda at: {f"leaked {at.over}"}),
    (leak_a_slot(":queue:default"), lambda at: {f"leaked {at.over}"}),
    (leak_a_slot(":key:tenant:acme"), lambda at: {f"leaked {at.over}", "over_limit slots:key:tenant:acme"}),
    (leak_a_slot(":key:tenant:other"), lambda at: {f"leaked {at.over}"}),
    (leak_a_slot(":worker:w-1"), lambda at: {f"leaked {at.over}"}),
    (leak_facts, lambda at: {f"leaked {at.over}"}),
    (take_a_slot_away, lambda at: {f"unslotted {at.held}", f"unwoken {KEYED}"}),
    (strand_a_run, lambda at: {f"stranded {at.held}"}),
    (forget_a_worker, lambda at: {f"stranded {at.held}"}),
    (queue_a_held_run, lambda at: {f"doubled {at.held}", "miscounted default"}),
    (unpark_a_bucket, lambda _: {f"unreachable {KEYED}", "miscounted default"}),
    (miscount, lambda _: {"miscounted default"}),
    (miscount_what_is_scheduled, lambda _: {"miscounted default"}),
    (forget_how_many_are_scheduled, lambda _: {"miscounted default"}),
    (ask_for_slots_of_nobody, lambda at: {f"ghost {at.over}"}),
    (leave_an_orphan_of_nobody, lambda at: {f"ghost {at.over}"}),
]


async def test_nothing_is_wrong_with_a_pool_as_the_scripts_leave_it(scene: Scene) -> None:
    assert await scene.found() == set()


@pytest.mark.parametrize(("inflict", "expected"), FAULTS, ids=[one[0].__name__ for one in FAULTS])
async def test_a_fault_is_found_without_a_change_and_then_put_right(
    scene: Scene, inflict: Callable[[Scene], None], expected: Callable[[Scene], set[str]]
) -> None:
    inflict(scene)
    before = {key: scene.connection.dump(key) for key in scene.connection.keys(f"{ROOT}*")}
    assert await scene.found() == expected(scene)
    assert {key: scene.connection.dump(key) for key in scene.connection.keys(f"{ROOT}*")} == before
    mended = await scene.found(repair=True)
    assert mended
    assert mended <= expected(scene)  # with one put right another may be gone
    assert await scene.found() == set()
    told = [line for _, entry in scene.connection.xrange(f"{ROOT}:events") for line in entry["e"].split("\n")]
    assert {line.removeprefix("violated ") for line in told if line.startswith("violated ")} == mended


async def test_what_was_put_right_runs_to_its_end(scene: Scene) -> None:
    lose_a_queued_run(scene)
    strand_a_run(scene)
    await scene.found(repair=True)
    ended: set[str] = set()
    seen, ends = 0, ()
    while len(ended) < 2:
        turn = await scene.store.workers.turn("default", "w-1", seen, offer=True, ends=ends)
        (run,) = turn.runs
        seen, ends = turn.last, (run.id, run.token, "completed", "", b"")
        ended.add(run.id)
    assert ended == {scene.held, scene.queued}


async def test_what_is_scheduled_is_counted_anew_by_queue_and_whatever_else_is_in_due(scene: Scene) -> None:
    await scene.client.publish("f", queue="etl", delay=600)
    await scene.client.publish("f", queue="etl", expires=600)
    over = await scene.client.publish("f", delay=600)
    await scene.client.cancel(over)
    scene.connection.zadd(f"{ROOT}:due", {f"r{over.id}": 9e12})  # is over: nothing waits for that
    scene.connection.delete(f"{ROOT}:later")
    assert await scene.found(repair=True) == {"miscounted default", "miscounted etl"}
    assert scene.connection.hgetall(f"{ROOT}:later") == {"default": "1", "etl": "1"}
    assert await scene.found() == set()


async def test_too_much_that_is_scheduled_is_not_counted_and_a_lost_one_still_counts(scene: Scene) -> None:
    await scene.client.publish_many([Publish("f", options={"delay": 600}) for _ in range(256)])
    lose_a_scheduled_run(scene)
    await scene.client.publish("f", delay=600)
    assert await scene.found(repair=True) == {f"lost {scene.scheduled}"}
    assert scene.connection.hgetall(f"{ROOT}:later") == {"default": "258"}
    assert scene.connection.zcard(f"{ROOT}:due") == 258
    miscount_what_is_scheduled(scene)
    assert await scene.found() == set()


async def test_a_limit_changed_behind_the_scripts_is_found_and_one_that_was_lowered_is_not(scene: Scene) -> None:
    await scene.client.pools.update("default", limit=0)
    assert await scene.found() == set()
    scene.connection.hset(f"{ROOT}:queue:default", "limit", 0)
    assert await scene.found(repair=True) == {"over_limit slots:queue:default"}


async def test_a_lane_that_was_emptied_is_filled_again(scene: Scene) -> None:
    await scene.client.pools.update("default", paused=True)
    await scene.client.publish("f")
    scene.connection.delete(f"{ROOT}:ready:||")
    assert await scene.found() == {"unreachable default|"}
    assert await scene.found(repair=True) == {"unreachable default|"}
    assert await scene.found() == set()
    assert scene.connection.zrange(f"{ROOT}:ready:||", 0, -1) == ["default|"]


def test_the_protocol_page_tells_of_each_kind_what_the_table_says() -> None:
    page = (Path(__file__).parents[2] / "dispatcher" / "README.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)`: .* \| ((?:I\d, )*I\d) \|", page, re.MULTILINE))
    assert {what: invariants.split(", ")[-1] for what, invariants in told.items()} == {
        what: kind.invariant for what, kind in KINDS.items()
    }
