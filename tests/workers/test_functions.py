"""What a function worker does with one run: call it, validate, time it out, try it again, say how it ended."""

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import anyio
import pytest
from pydantic import BaseModel

from dispatcher import Client, InvalidInput, RetryPolicy, Run, RunFailed, RunState
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions
from workers.outcomes import retry_delay_ms

functions = Functions()


class Order(BaseModel):
    id: UUID
    when: datetime
    lines: list[int] = []


@dataclass
class Point:
    x: int
    y: int


@functions.register
async def coroutine(a: int, b: int = 2) -> int:
    return a + b


@functions.register
def in_thread() -> str:
    return threading.current_thread().name


@functions.register
async def on_loop() -> str:
    return threading.current_thread().name


@functions.register(name="orders.total")
def total(order: Order, *, factor: int = 1) -> dict[str, Any]:
    return {"id": order.id, "lines": sum(order.lines) * factor, "year": order.when.year, "point": Point(1, 2)}


@functions.register
def anything(**options: Any) -> Any:
    return options


@functions.register
def nothing() -> None:
    pass


def _make(raising: Callable[[], BaseException]) -> Callable[[], None]:
    def fail() -> None:
        raise raising()

    return fail


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


FAULTS: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("no such order"),
    "long": lambda: ValueError("x" * 1_000_000),
    "half-a-character": lambda: ValueError("\ud800"),
    "unprintable": Unprintable,
    "stop-iteration": StopIteration,
    "cancelled": asyncio.CancelledError,
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "timeout": TimeoutError,
    "group": lambda: ExceptionGroup("several", [ValueError("one")]),
    "deep": RecursionError,
}
for fault, raising in FAULTS.items():
    functions.register(name=f"thread-{fault}")(_make(raising))

    def _async(raising: Callable[[], BaseException] = raising) -> Callable[[], Any]:
        async def fail() -> None:
            raise raising()

        return fail

    functions.register(name=f"loop-{fault}")(_async())


async def failure(client: Client, published: object) -> RunFailed:
    with pytest.raises(RunFailed) as caught:
        await client.result(published, timeout=10)
    return caught.value


async def test_coroutines_run_on_the_loop_and_plain_functions_in_threads(stack: Stack) -> None:
    await stack.worker(functions)
    client = stack.client
    assert await client.result(await client.publish("coroutine", {"a": 40}), timeout=5) == 42
    assert await client.result(await client.publish("on_loop"), timeout=5) == threading.current_thread().name
    assert await client.result(await client.publish("in_thread"), timeout=5) != threading.current_thread().name
    assert await client.result(await client.publish("nothing"), timeout=5) is None


async def test_parameters_become_what_the_signature_says(stack: Stack) -> None:
    await stack.worker(functions)
    order = {"id": "0" * 32, "when": datetime(2026, 5, 1, tzinfo=UTC), "lines": ["1", 2]}
    published = await stack.client.publish("orders.total", {"order": order, "factor": "10"})
    assert await stack.client.result(published, timeout=5) == {
        "id": str(UUID(int=0)), "lines": 30, "year": 2026, "point": {"x": 1, "y": 2},
    }  # fmt: skip
    published = await stack.client.publish("anything", {"self": 1, "args": 2, "function": 3, "name": 4})
    assert await stack.client.result(published, timeout=5) == {"self": 1, "args": 2, "function": 3, "name": 4}


@pytest.mark.fault(35)
@pytest.mark.parametrize(
    ("function", "parameters", "match"),
    [
        ("coroutine", {}, "a: Missing"),
        ("coroutine", {"a": "many"}, "a: Input should be a valid integer"),
        ("coroutine", {"a": 1, "c": 2}, "c: Unexpected keyword"),
        ("nothing", {"a": 1}, "takes no parameters, got a"),
        ("orders.total", {"order": {"id": "x", "when": "y"}}, "order.id: .*order.when: "),
    ],
)
async def test_parameters_that_do_not_fit_fail_the_run_for_good(
    stack: Stack, function: str, parameters: dict[str, Any], match: str
) -> None:
    await stack.worker(functions)
    published = await stack.client.publish(function, parameters, retries=5)
    error = await failure(stack.client, published)
    assert (error.state, error.reason) == ("failed", "invalid_parameters")
    with pytest.raises(RunFailed, match=match):
        raise error
    assert (await stack.client.get(published)).attempt == 1


async def test_a_function_that_is_not_registered_fails_the_run_and_names_those_that_are(stack: Stack) -> None:
    few = Functions()
    few.register(total)
    await stack.worker(few)
    error = await failure(stack.client, await stack.client.publish("missing", retries=3))
    assert (error.state, error.reason) == ("failed", "not_registered")
    assert "no function 'missing' is registered here; known: total" in error.error


@pytest.mark.fault(37)
@pytest.mark.parametrize("where", ["loop", "thread"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_code_raises_fails_its_run_alone(stack: Stack, where: str, fault: str) -> None:
    """And the worker goes on: no exception of a function is the worker's."""
    worker = await stack.worker(functions)
    error = await failure(stack.client, await stack.client.publish(f"{where}-{fault}"))
    assert (error.state, error.reason) == ("failed", "raised")
    assert 0 < len(error.error) <= 2000
    assert await stack.client.result(await stack.client.publish("coroutine", {"a": 1}), timeout=5) == 3
    (seen,) = await stack.client.workers.list()
    assert (seen.id, seen.held) == (worker.id, 0)


@pytest.mark.parametrize(
    "value",
    [object(), {"x": print}, "x" * 600_000, 2**70, "\ud800", [[]] * 600_000],
    ids=["object", "function", "large", "huge number", "half a character", "many"],
)
async def test_a_result_that_cannot_be_kept_fails_the_run(stack: Stack, value: object) -> None:
    own = Functions()

    @own.register
    async def answer() -> object:
        return value

    await stack.worker(own)
    error = await failure(stack.client, await stack.client.publish("answer", retries=3))
    assert (error.state, error.reason) == ("failed", "bad_result")


async def test_a_large_spec_is_fetched(stack: Stack) -> None:
    await stack.worker(functions)
    for size in (16_000, 17_000, 500_000):
        published = await stack.client.publish("anything", {"text": "y" * size})
        assert await stack.client.result(published, timeout=5) == {"text": "y" * size}


async def test_a_failed_run_is_tried_again_later_and_later(stack: Stack) -> None:
    began: list[float] = []
    own = Functions()

    @own.register
    async def flaky() -> int:
        began.append(time.monotonic())
        if len(began) < 4:
            raise ValueError(f"attempt {len(began)}")
        return len(began)

    await stack.scheduler()
    await stack.worker(own)
    policy = RetryPolicy(retries=3, delay=0.1, factor=2, max_delay=0.3, jitter=0)
    published = await stack.client.publish("flaky", retry=policy)
    assert await stack.client.result(published, timeout=10) == 4
    gaps = [after - before for before, after in itertools.pairwise(began)]
    for gap, delay in zip(gaps, (0.1, 0.2, 0.3), strict=True):
        assert delay - 0.002 <= gap < delay + 0.5
    run = await stack.client.get(published)
    assert (run.state, run.attempt, run.crashes) == (RunState.COMPLETED, 4, 0)


async def test_between_attempts_a_run_is_scheduled_and_holds_nothing(stack: Stack) -> None:
    own = Functions()

    @own.register
    async def fail() -> None:
        raise ValueError("once")

    await stack.worker(own)
    published = await stack.client.publish("fail", retry=RetryPolicy(retries=1, delay=3600), keys=["k:1"])
    await wait_until(lambda: has_state(stack.client, published, RunState.SCHEDULED), description="it waits")
    run = await stack.client.get(published)
    assert (run.attempt, run.error) == (2, "ValueError: once")
    assert await stack.client.pools.slots("default") == []
    assert (await stack.client.pools.get("default")).scheduled == 1
    assert await stack.client.cancel(published) == ["cancelled"]


async def has_state(client: Client, published: object, state: RunState) -> bool:
    return (await client.get(published)).state is state


async def test_a_run_without_retries_left_is_a_dead_letter(stack: Stack) -> None:
    import redis

    await stack.worker(functions)
    published = await stack.client.publish("loop-value", retry=RetryPolicy(retries=2, delay=0))
    error = await failure(stack.client, published)
    assert (error.state, error.reason, error.error) == ("failed", "retries_spent", "ValueError: no such order")
    run: Run = await stack.client.get(published)
    assert run.attempt == 3
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.zrange("sluice:{default}:dead", 0, -1) == [published.id.encode()]


def test_delays_grow_and_jitter_only_shortens() -> None:
    policy = RetryPolicy(retries=1000, delay=1, factor=2, max_delay=60, jitter=0.25)
    assert [retry_delay_ms(policy, attempt, 0.0) for attempt in (1, 2, 3, 6, 7, 1000)] == [
        1000,
        2000,
        4000,
        32000,
        60000,
        60000,
    ]
    for attempt in range(1, 1001):
        full = retry_delay_ms(policy, attempt, 0.0)
        least = retry_delay_ms(policy, attempt, 0.999_999)
        assert 0.75 * full - 1 <= least <= full
    assert retry_delay_ms(RetryPolicy(1000, 0, 0, 0, 1), 1000, 0.5) == 0
    assert retry_delay_ms(RetryPolicy(1000, 1e9, 1e9, 1e9, 0), 1000, 0.5) == 10**12


@pytest.mark.fault(5)
@pytest.mark.parametrize("seconds", [0.05, 0])
async def test_a_run_that_takes_too_long_is_ended(stack: Stack, seconds: float) -> None:
    ended = []
    own = Functions()

    @own.register
    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    await stack.worker(own)
    error = await failure(stack.client, await stack.client.publish("slow", timeout=seconds))
    assert (error.state, error.reason) == ("failed", "timed_out")
    assert f"timeout of {seconds:g} s" in error.error
    assert ended
    assert await stack.client.pools.slots("default") == []


async def test_a_timeout_is_tried_again(stack: Stack) -> None:
    attempts: list[int] = []
    own = Functions()

    @own.register
    async def slow_once() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            await anyio.sleep_forever()
        return "done"

    await stack.worker(own)
    published = await stack.client.publish("slow_once", timeout=0.05, retry=RetryPolicy(retries=1, delay=0))
    assert await stack.client.result(published, timeout=5) == "done"


@pytest.mark.parametrize("end", ["cancel", "timeout"])
async def test_a_thread_cannot_be_stopped_and_keeps_its_slot_until_it_is_over(stack: Stack, end: str) -> None:
    """Else the next run of a scope of one would begin beside it."""
    own, running, highest = Functions(), Counter[str](), Counter[str]()
    release = threading.Event()

    @own.register
    def stubborn() -> None:
        running["now"] += 1
        highest["now"] = max(highest["now"], running["now"])
        release.wait(10)
        running["now"] -= 1

    await stack.client.limits.set("k:1", 1)
    await stack.worker(own)
    first = await stack.client.publish("stubborn", keys=["k:1"], **({"timeout": 0.05} if end == "timeout" else {}))
    second = await stack.client.publish("stubborn", keys=["k:1"])
    await wait_until(lambda: running["now"], description="it runs")
    if end == "cancel":
        await stack.client.cancel(first)
    with anyio.move_on_after(0.3):
        await wait_until(lambda: running["now"] > 1, description="never", timeout=5)
    release.set()
    assert (await failure(stack.client, first)).reason == ("asked" if end == "cancel" else "timed_out")
    await stack.client.result(second, timeout=5)
    assert highest["now"] == 1


async def test_a_cancelled_run_may_clean_up(stack: Stack) -> None:
    cleaned = []
    started = anyio.Event()
    own = Functions()

    @own.register
    async def tidy() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.02)
            cleaned.append(True)

    await stack.worker(own)
    published = await stack.client.publish("tidy")
    await started.wait()
    assert await stack.client.cancel(published) == ["cancelling"]
    assert (await failure(stack.client, published)).state == "cancelled"
    assert cleaned


def test_a_registry_takes_each_name_once() -> None:
    own = Functions()
    assert own.register(total) is total
    with pytest.raises(InvalidInput, match="'total' is registered already"):
        own.register(total)
    own.register(name="other")(total)
    assert own.names() == ["other", "total"]
    assert [handler.is_async for handler in own] == [False, False]
