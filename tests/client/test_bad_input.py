"""Bad input gets a clear error, and nothing changes in Redis: every key is compared before and after."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import redis

from dispatcher import (
    BlockingClient,
    Client,
    InvalidInput,
    NotFound,
    PoolNotFound,
    Publish,
    RetryPolicy,
    RunNotFound,
    SluiceError,
)  # fmt: skip
from dispatcher.errors import PayloadTooLarge
from tests.support.stack import Stack

KB = 1024


def dump(url: str) -> dict[bytes, Any]:
    """Every key with its serialised value."""
    with redis.Redis.from_url(url) as connection:
        return {key: connection.dump(key) for key in connection.scan_iter(count=1000)}


def nested(levels: int, wrap: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    value: Any = None
    for _ in range(levels):
        value = wrap(value)
    return value


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


class Opaque:
    """Nothing that any language could read."""


class Hostile:
    """Pretends to be a model and is not."""

    def model_dump(self, mode: str) -> object:
        raise RuntimeError(f"no {mode} today")


BAD_RUNS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "no function": ("", None, {}),
    "function is no text": (7, None, {}),
    "function too long": ("f" * 201, None, {}),
    "function of half a character": ("\ud800", None, {}),
    "parameters are a list": ("f", [1, 2], {}),
    "parameters are a number": ("f", 5, {}),
    "too large": ("f", {"x": "y" * (512 * KB)}, {}),
    "too large in bytes": ("f", {"x": b"\x00" * (512 * KB)}, {}),
    "too large in small parts": ("f", {"x": [0] * (512 * KB)}, {}),
    "too large with options": ("f", {"x": "y" * (512 * KB)}, {"name": "n"}),
    "a bomb of lists": ("f", {"x": nested(100_000)}, {}),
    "a bomb of mappings": ("f", {"x": nested(100_000, lambda inner: {"a": inner})}, {}),
    "a bomb of tuples with options": ("f", {"x": nested(100_000, lambda inner: (inner,))}, {"timeout": 1}),
    "a circle": ("f", {"x": circle()}, {}),
    "an object": ("f", {"x": Opaque()}, {}),
    "a function": ("f", {"x": print}, {}),
    "a class": ("f", {"x": Opaque}, {}),
    "a hostile model": ("f", {"x": Hostile()}, {}),
    "a huge number": ("f", {"x": 2**70}, {}),
    "half a character": ("f", {"x": "\ud800"}, {}),
    "half a character with options": ("f", {"x": "\ud800"}, {"retries": 1}),
    "queue with blank": ("f", None, {"queue": "a b"}),
    "queue with bar": ("f", None, {"queue": "a|b"}),
    "queue with brace": ("f", None, {"queue": "a{b}"}),
    "queue empty": ("f", None, {"queue": ""}),
    "queue too long": ("f", None, {"queue": "q" * 64}),
    "queue with line end": ("f", None, {"queue": "q\n"}),
    "queue is none": ("f", None, {"queue": None}),
    "queue is a list": ("f", None, {"queue": ["q"]}),
    "label with comma": ("f", None, {"labels": ["a,b"]}),
    "label with bar": ("f", None, {"labels": ["a|b"]}),
    "label empty": ("f", None, {"labels": [""]}),
    "label is a number": ("f", None, {"labels": [5, "a"]}),
    "label is a list": ("f", None, {"labels": [["a"]]}),
    "labels are one text": ("f", None, {"labels": "gpu"}),
    "labels are none": ("f", None, {"labels": None}),
    "too many labels": ("f", None, {"labels": [f"l{n}" for n in range(17)]}),
    "key without kind": ("f", None, {"keys": ["tenant"]}),
    "key with blank": ("f", None, {"keys": ["tenant:a b"]}),
    "key with bar": ("f", None, {"keys": ["tenant:a|b"]}),
    "key of all": ("f", None, {"keys": ["tenant:*"]}),
    "key too long": ("f", None, {"keys": ["tenant:" + "x" * 200]}),
    "key too long in bytes": ("f", None, {"keys": ["tenant:" + "ä" * 100]}),
    "key of half a character": ("f", None, {"keys": ["tenant:\ud800"]}),
    "key is none": ("f", None, {"keys": [None]}),
    "keys are one text": ("f", None, {"keys": "tenant:7"}),
    "too many keys": ("f", None, {"keys": [f"k:{n}" for n in range(5)]}),
    "start without zone": ("f", None, {"at": datetime(2030, 1, 1)}),  # noqa: DTZ001 - what is tested
    "start is a number": ("f", None, {"at": 1_900_000_000}),
    "start and delay": ("f", None, {"at": datetime(2030, 1, 1), "delay": 5}),  # noqa: DTZ001 - what is tested
    "delay below 0": ("f", None, {"delay": -1}),
    "delay is not a number": ("f", None, {"delay": float("nan")}),
    "delay without end": ("f", None, {"delay": float("inf")}),
    "delay is text": ("f", None, {"delay": "5"}),
    "expiry below 0": ("f", None, {"expires": -1}),
    "timeout below 0": ("f", None, {"timeout": -0.1}),
    "timeout is text": ("f", None, {"timeout": "5"}),
    "retries below 0": ("f", None, {"retries": -1}),
    "retries is text": ("f", None, {"retries": "3"}),
    "too many retries": ("f", None, {"retries": 1001}),
    "retry is a number": ("f", None, {"retry": 3}),
    "retry delay below 0": ("f", None, {"retry": RetryPolicy(1, delay=-1)}),
    "retry delay is not a number": ("f", None, {"retry": RetryPolicy(1, delay=float("nan"))}),
    "retry delay without end": ("f", None, {"retry": RetryPolicy(1, max_delay=float("inf"))}),
    "retry delay is text": ("f", None, {"retry": RetryPolicy(1, delay="1")}),  # type: ignore[arg-type]
    "retry jitter above 1": ("f", None, {"retry": RetryPolicy(1, jitter=1.5)}),
    "idempotency key is a number": ("f", None, {"idempotency_key": 5}),
    "idempotency key too long": ("f", None, {"idempotency_key": "k" * 201}),
    "idempotency key of half a character": ("f", None, {"idempotency_key": "\ud800"}),
    "idempotency key without time": ("f", None, {"idempotency_key": "k", "idempotency_ttl": 0}),
    "run id too short": ("f", None, {"run_id": "x"}),
    "run id with colon": ("f", None, {"run_id": "a:bcdefghijklmnopqrst"}),
    "run id is a number": ("f", None, {"run_id": 5}),
    "name is a number": ("f", None, {"name": 5}),
    "name too long": ("f", None, {"name": "n" * 100_000}),
    "tags are one text": ("f", None, {"tags": "urgent"}),
    "tag is a number": ("f", None, {"tags": [5]}),
    "unknown option": ("f", None, {"prio": 3}),
}


@pytest.mark.fault(36)
@pytest.mark.parametrize("case", BAD_RUNS)
async def test_a_bad_run_is_refused(stack: Stack, case: str) -> None:
    function, parameters, options = BAD_RUNS[case]
    await stack.client.publish("f", queue="q", keys=["tenant:1"])
    before = dump(stack.url)
    with pytest.raises(InvalidInput) as caught:
        await stack.client.publish(function, parameters, **options)
    assert 10 < len(str(caught.value)) < 600
    with pytest.raises(InvalidInput):
        await stack.client.publish_many([Publish("f"), Publish(function, parameters, options)])  # type: ignore[arg-type]
    assert dump(stack.url) == before


BAD_CHANGES: dict[str, Callable[[Client], Any]] = {
    "pool with blank": lambda client: client.pools.create("a b"),
    "pool with brace": lambda client: client.pools.create("a}b"),
    "pool empty": lambda client: client.pools.create(""),
    "pool too long": lambda client: client.pools.create("p" * 64),
    "pool is a number": lambda client: client.pools.create(5),  # type: ignore[arg-type]
    "pool of an odd type": lambda client: client.pools.create("p", type="a b"),
    "pool limit below 0": lambda client: client.pools.create("p", limit=-1),
    "pool limit is half": lambda client: client.pools.create("p", limit=1.5),  # type: ignore[arg-type]
    "pool limit is true": lambda client: client.pools.create("p", limit=True),
    "pool limit is text": lambda client: client.pools.create("p", limit="5"),  # type: ignore[arg-type]
    "pool limit too high": lambda client: client.pools.create("p", limit=1_000_001),
    "pool retention 0": lambda client: client.pools.create("p", retention_ms=0),
    "pool retention is text": lambda client: client.pools.create("p", retention_ms="5"),  # type: ignore[arg-type]
    "pool crashes 0": lambda client: client.pools.update("default", crashes=0),
    "pool of an unknown setting": lambda client: client.pools.create("p", retention_days=3),
    "pool update of an unknown setting": lambda client: client.pools.update("default", limt=3),
    "pool update of its type": lambda client: client.pools.update("default", type="docker"),
    "pool update to limit below 0": lambda client: client.pools.update("default", limit=-5),
    "pool paused is text": lambda client: client.pools.update("default", paused="no"),
    "pool description is a number": lambda client: client.pools.update("default", description=5),
    "pool description of half a character": lambda client: client.pools.update("default", description="\ud800"),
    "queue with blank": lambda client: client.queues.create("a b"),
    "queue with bar": lambda client: client.queues.create("a|b"),
    "queue priority 0": lambda client: client.queues.create("q2", priority=0),
    "queue priority below 0": lambda client: client.queues.create("q2", priority=-1),
    "queue priority is half": lambda client: client.queues.create("q2", priority=1.5),  # type: ignore[arg-type]
    "queue priority is true": lambda client: client.queues.create("q2", priority=True),
    "queue priority too high": lambda client: client.queues.create("q2", priority=10_000),
    "queue limit below 0": lambda client: client.queues.update("q", limit=-1),
    "queue update of what is not for people": lambda client: client.queues.update("q", deleting=1),
    "queue update of an unknown setting": lambda client: client.queues.update("q", prio=3),
    "queue default deleted": lambda client: client.queues.delete("default", cancel=True),
    "limit below 0": lambda client: client.limits.set("tenant:1", -1),
    "limit is text": lambda client: client.limits.set("tenant:1", "2"),  # type: ignore[arg-type]
    "limit is none": lambda client: client.limits.set("tenant:1", None),  # type: ignore[arg-type]
    "limit of no key": lambda client: client.limits.set("tenant", 2),
    "limit of every kind": lambda client: client.limits.set("*", 2),
    "limit of an odd kind": lambda client: client.limits.set("a b:*", 2),
    "cleared limit of no key": lambda client: client.limits.clear("tenant"),
    "list of an odd state": lambda client: client.list(states=["gone"]),
}


@pytest.mark.parametrize("case", BAD_CHANGES)
async def test_a_bad_change_is_refused(stack: Stack, case: str) -> None:
    await stack.client.publish("f", queue="q", keys=["tenant:1"])
    before = dump(stack.url)
    with pytest.raises(InvalidInput) as caught:
        await BAD_CHANGES[case](stack.client)
    assert 10 < len(str(caught.value)) < 600
    assert dump(stack.url) == before


UNKNOWN: dict[str, Callable[[Client], Any]] = {
    "publish": lambda client: client.publish("f", pool="nowhere"),
    "publish to a name that cannot be": lambda client: client.publish_many(["f"], pool="no{where}"),
    "publish many": lambda client: client.publish_many(["f"] * 3, pool="nowhere"),
    "pool": lambda client: client.pools.get("nowhere"),
    "pool update": lambda client: client.pools.update("nowhere", limit=3),
    "pool delete": lambda client: client.pools.delete("nowhere", cancel=True),
    "queue create": lambda client: client.queues.create("q", pool="nowhere"),
    "queue update": lambda client: client.queues.update("nowhere", limit=3),
    "queue": lambda client: client.queues.get("nowhere"),
    "queues": lambda client: client.queues.list(pool="nowhere"),
    "queue delete": lambda client: client.queues.delete("nowhere"),
    "queue delete in no pool": lambda client: client.queues.delete("q", pool="nowhere", cancel=True),
    "limit": lambda client: client.limits.set("a:b", 1, pool="nowhere"),
    "limits": lambda client: client.limits.list(pool="nowhere"),
    "run": lambda client: client.get("0" * 32),
    "run of odd id": lambda client: client.get("x:y\n"),
    "result": lambda client: client.result("0" * 32),
    "worker": lambda client: client.workers.get("nobody"),
    "drain": lambda client: client.workers.drain("nobody"),
}


@pytest.mark.parametrize("case", UNKNOWN)
async def test_what_is_not_there_is_said_and_not_made(stack: Stack, case: str) -> None:
    await stack.client.publish("f", queue="q", keys=["tenant:1"])
    before = dump(stack.url)
    with pytest.raises((NotFound, InvalidInput), match="nowhere|no{where}|nobody|no run"):
        await UNKNOWN[case](stack.client)
    assert dump(stack.url) == before


async def test_errors_name_what_is_missing_and_what_to_do(stack: Stack) -> None:
    with pytest.raises(PoolNotFound, match="sluice pool create nowhere --type function"):
        await stack.client.publish("f", pool="nowhere")
    with pytest.raises(RunNotFound, match="retention is over"):
        await stack.client.get("0" * 32)
    with pytest.raises(PayloadTooLarge, match=r"524,288 are allowed: put the data elsewhere"):
        await stack.client.publish("f", {"x": "y" * (512 * KB)})


async def test_the_largest_payload_passes(stack: Stack) -> None:
    published = await stack.client.publish("f", {"x": "y" * (512 * KB - 20)})
    assert len((await stack.client.get(published)).spec.parameters["x"]) == 512 * KB - 20


async def test_nesting_that_people_use_passes(stack: Stack) -> None:
    deep = nested(200, lambda inner: {"a": [inner]})
    published = await stack.client.publish("f", {"x": deep})
    assert (await stack.client.get(published)).spec.parameters == {"x": deep}


def test_a_client_of_an_odd_pool_is_refused(redis_url: str) -> None:
    for pool in ("", "a b", "a}b", "ä"):
        with pytest.raises(InvalidInput, match="is no pool name"):
            Client(redis_url, pool=pool)
        with pytest.raises(InvalidInput, match="is no pool name"):
            BlockingClient(redis_url, pool=pool)


def test_every_error_is_one_of_ours() -> None:
    assert issubclass(InvalidInput, SluiceError)
    assert issubclass(NotFound, SluiceError)
