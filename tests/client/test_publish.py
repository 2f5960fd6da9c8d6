"""Publishing: one, many, at once, twice, later, with a deadline, under an idempotency key."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest
import redis

from dispatcher import BlockingClient, Client, InvalidInput, Publish, RunState
from dispatcher.errors import QueueDeleting
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions


def calls(url: str) -> int:
    """How many script calls the server has had since its statistics were reset."""
    with redis.Redis.from_url(url) as connection:
        stats = connection.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("evalsha", "eval"))


def server_ms(url: str) -> float:
    with redis.Redis.from_url(url) as connection:
        seconds, micros = connection.time()
    return seconds * 1000 + micros / 1000


async def test_what_is_published_is_there(stack: Stack) -> None:
    options = {
        "queue": "reports",
        "labels": ["gpu", "zone=a"],
        "keys": ["tenant:7"],
        "name": "monthly",
        "tags": ["x", "y"],
    }
    published = await stack.client.publish(
        "report", {"month": 3, "who": ["ä", None, 1.5]}, retries=2, timeout=9, **options
    )
    assert published.is_new
    assert published.pool == "default"
    run = await stack.client.get(published)
    assert (run.state, run.queue, run.labels, run.keys) == (
        RunState.QUEUED,
        "reports",
        ("gpu", "zone=a"),
        ("tenant:7",),
    )
    assert (run.spec.function, run.spec.parameters) == ("report", {"month": 3, "who": ["ä", None, 1.5]})
    assert (run.spec.name, run.spec.tags, run.spec.timeout, run.spec.retry.retries) == ("monthly", ("x", "y"), 9, 2)
    assert run.published_at is not None
    assert abs(run.published_at.timestamp() * 1000 - server_ms(stack.url)) < 5000


async def test_values_of_python_become_values_of_any_language(stack: Stack) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    published = await stack.client.publish(
        "f", {"when": when, "span": timedelta(minutes=2), "set": {1}, "raw": b"\x00\xff"}
    )
    run = await stack.client.get(published)
    assert run.spec.parameters == {"when": "2026-01-02T03:04:05+00:00", "span": 120.0, "set": [1], "raw": b"\x00\xff"}


async def test_many_are_published_in_order_and_in_few_calls(stack: Stack) -> None:
    await stack.client.publish("warm")
    stack_calls = calls(stack.url)
    runs = await stack.client.publish_many([Publish("f", {"n": n}) for n in range(1200)])
    assert calls(stack.url) - stack_calls == 3
    assert len({run.id for run in runs}) == 1200
    assert [run.id for run in runs] == sorted(run.id for run in runs)
    assert (await stack.client.pools.get("default")).queued == 1201


async def test_what_is_published_at_once_travels_together(stack: Stack) -> None:
    await stack.client.publish("warm")
    before = calls(stack.url)
    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(stack.client.publish, "f", {"n": n})
    assert calls(stack.url) - before <= 3
    assert (await stack.client.queues.get("default")).queued == 51


async def test_one_callers_refusal_is_not_anothers(stack: Stack) -> None:
    """Who publishes into a queue that is being deleted is refused, whoever travels along is not."""
    await stack.client.queues.create("doomed")
    with redis.Redis.from_url(stack.url) as connection:
        connection.hset("sluice:{default}:queue:doomed", "deleting", 1)  # as while its running runs are asked to end
    outcomes: dict[int, str] = {}

    async def publish(n: int, queue: str) -> None:
        try:
            await stack.client.publish("f", queue=queue)
            outcomes[n] = "published"
        except QueueDeleting as error:
            assert error.queue == "doomed"
            outcomes[n] = "refused"

    async with anyio.create_task_group() as group:
        for n in range(10):
            group.start_soon(publish, n, "doomed" if n % 5 == 3 else "default")
    assert outcomes == {n: "refused" if n % 5 == 3 else "published" for n in range(10)}
    assert (await stack.client.queues.get("default")).queued == 8


@pytest.mark.fault(26)
async def test_an_id_is_published_once(stack: Stack) -> None:
    first = await stack.client.publish("f", {"n": 1}, run_id="order-0000000000000042")
    again = await stack.client.publish("f", {"n": 2}, run_id="order-0000000000000042")
    twice = await stack.client.publish_many(
        [Publish("g", {"n": n}, {"run_id": "twice-0000000000000000"}) for n in (3, 4)]
    )
    assert (first.is_new, again.is_new, again.id) == (True, False, first.id)
    assert [run.is_new for run in twice] == [True, False]
    assert (await stack.client.get(first)).spec.parameters == {"n": 1}
    assert (await stack.client.get(twice[1])).spec.parameters == {"n": 3}
    assert (await stack.client.pools.get("default")).queued == 2


@pytest.mark.fault(26)
async def test_an_idempotency_key_stands_for_one_run_while_it_lives(stack: Stack) -> None:
    first = await stack.client.publish("f", idempotency_key="invoice 7", idempotency_ttl=0.2)
    again = await stack.client.publish("f", idempotency_key="invoice 7", idempotency_ttl=0.2)
    other = await stack.client.publish("f", idempotency_key="invoice 8")
    assert again == first._replace(is_new=False)
    assert other.is_new
    await stack.client.cancel(first)
    assert not (await stack.client.publish("f", idempotency_key="invoice 7")).is_new

    async def is_free() -> bool:
        return (await stack.client.publish("f", idempotency_key="invoice 7", idempotency_ttl=0.2)).is_new

    await wait_until(is_free, description="the key has lost its run")


async def test_keys_of_two_pools_are_two_keys(stack: Stack) -> None:
    await stack.client.pools.create("other")
    first = await stack.client.publish("f", idempotency_key="k")
    second = await stack.client.publish("f", idempotency_key="k", pool="other")
    assert second.is_new
    assert second.id != first.id


@pytest.mark.parametrize("kind", ["at", "delay"])
async def test_a_run_for_later_is_never_early_and_hardly_late(stack: Stack, kind: str) -> None:
    functions, began = Functions(), {}

    @functions.register
    async def note(n: int) -> None:
        began[n] = server_ms(stack.url)

    await stack.scheduler()
    await stack.worker(functions)
    due = {}
    runs = []
    for n in range(20):
        now = server_ms(stack.url)
        due[n] = now + 1500 + 20 * n
        seconds = (1500 + 20 * n) / 1000
        moment = {"at": datetime.fromtimestamp(due[n] / 1000, UTC)} if kind == "at" else {"delay": seconds}
        runs.append(await stack.client.publish("note", {"n": n}, **moment))
    assert {run.state for run in await stack.client.list(limit=100)} == {RunState.SCHEDULED}
    scheduled = await stack.client.get(runs[0])
    assert scheduled.scheduled_for is not None
    assert abs(scheduled.scheduled_for.timestamp() * 1000 - due[0]) < 100
    await stack.completed(runs)
    assert min(began[n] - due[n] for n in due) >= -1  # an instant is cut to whole milliseconds
    assert sorted(began[n] - due[n] for n in due)[len(due) // 2] < 250


async def test_a_start_in_the_past_is_now(stack: Stack) -> None:
    published = await stack.client.publish("f", at=datetime.now(UTC) - timedelta(days=1))
    assert (await stack.client.get(published)).state is RunState.QUEUED
    assert (await stack.client.get(await stack.client.publish("f", delay=0))).state is RunState.QUEUED


async def test_a_run_that_nobody_started_in_time_expires(stack: Stack) -> None:
    await stack.scheduler()
    functions = Functions()

    @functions.register
    async def quick() -> str:
        return "done"

    soon = await stack.client.publish("quick", expires=0.1)
    late = await stack.client.publish("quick", expires=timedelta(hours=1))
    waiting = await stack.client.publish("quick", delay=3600, expires=0.15)
    await wait_until(lambda: has_state(stack.client, soon, "expired"), description="the run has expired")
    await wait_until(lambda: has_state(stack.client, waiting, "expired"), description="the scheduled run has expired")
    await stack.worker(functions)
    assert await stack.client.result(late, timeout=5) == "done"
    run = await stack.client.get(soon)
    assert (run.reason, run.attempt) == ("deadline", 0)


async def test_a_deadline_holds_without_a_scheduler(stack: Stack) -> None:
    functions = Functions()

    @functions.register
    async def quick() -> str:
        return "done"

    published = await stack.client.publish("quick", expires=0.05)
    passed = server_ms(stack.url) + 60
    await wait_until(lambda: server_ms(stack.url) > passed, description="the deadline has passed")
    await stack.worker(functions)
    await wait_until(lambda: has_state(stack.client, published, "expired"), description="the run has expired")


async def has_state(client: Client, run: object, state: str) -> bool:
    return (await client.get(run)).state == state


def test_a_blocking_client_does_the_same(redis_url: str) -> None:
    with BlockingClient(redis_url) as client:
        client.pools.create("default", limit=3)
        one = client.publish("f", {"n": 1}, queue="q")
        many = client.publish_many(["f", Publish("g")])
        assert [run.is_new for run in (one, *many)] == [True] * 3
        assert client.get(one).spec.parameters == {"n": 1}
        assert {run.id for run in client.list()} == {run.id for run in (one, *many)}
        assert client.cancel(one, many[0]) == ["cancelled", "cancelled"]
        assert client.pools.get("default").limit == 3
        assert [queue.name for queue in client.queues.list()] == ["default", "q"]
        client.limits.set("tenant:*", 2)
        assert [(limit.key, limit.limit) for limit in client.limits.list()] == [("tenant:*", 2)]
        assert client.workers.list() == []
        with pytest.raises(InvalidInput):
            client.publish("")


def test_a_blocking_client_serves_several_threads(redis_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with BlockingClient(redis_url) as client, ThreadPoolExecutor(8) as pool:
        client.pools.create("default")
        runs = list(pool.map(lambda n: client.publish("f", {"n": n}), range(200)))
        assert len({run.id for run in runs}) == 200
        assert client.pools.get("default").queued == 200
