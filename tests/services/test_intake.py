"""Intake: what any Redis client publishes by XADD becomes runs, in order, each once, whatever else is in the stream."""

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import pytest
import redis
from anyio import to_thread

import dispatcher.service
from dispatcher import RunState, scripts
from dispatcher.errors import ServerUnreachable
from dispatcher.intake import judging
from dispatcher.intake import service as intake_service
from dispatcher.metrics import REGISTRY
from dispatcher.store import IntakeStore
from tests.support.processes import Children
from tests.support.proxy import FaultProxy
from tests.support.publishing import ROOT, STREAM, Publisher
from tests.support.servers import EVERY_KIND, Server
from tests.support.stack import Stack, running
from tests.support.waiting import wait_until
from workers import Functions

ID = "{:032x}".format


@pytest.fixture
def publisher(redis_url: str) -> Iterator[Publisher]:
    made = Publisher(redis_url)
    yield made
    made.close()


@pytest.fixture
def functions() -> Functions:
    known = Functions()

    @known.register
    async def add(a: int, b: int) -> int:
        return a + b

    return known


@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)
async def test_a_plain_xadd_becomes_a_run(stack: Stack, publisher: Publisher, functions: Functions) -> None:
    await stack.dispatcher()
    await stack.worker(functions)
    document = {"function": "add", "parameters": {"a": 1, "b": 2}}
    publisher.add(document, reply="me")
    publisher.redis.xadd(STREAM, {"run.mp": msgpack.packb({**document, "id": ID(7)}), "reply": "me"})
    told = await wait_until(
        lambda: (lines := publisher.replies("me")) and len(lines) == 4 and lines, description="both are over"
    )
    accepted = [line for line in told if "status" in line]
    assert [(line["status"], line["source"], line["reason"]) for line in accepted] == [("accepted", "intake", "")] * 2
    assert accepted[1]["run"] == ID(7)
    assert [line["state"] for line in told if "state" in line] == ["completed"] * 2
    for line in accepted:
        run = await stack.client.get(line["run"])
        assert (run.result, run.spec.source) == (3, "intake")
    assert 0 < publisher.redis.ttl(f"{ROOT}:reply:me") <= 600


async def test_a_document_says_all_that_the_client_can(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    publisher.add(
        {
            "command": "echo 'a b'", "queue": "etl", "labels": ["gpu", "arm"], "keys": ["tenant:acme"],
            "at": "2040-01-31T08:00:00+01:00", "expires": "2040-02-01T00:00:00Z", "retries": 3,
            "retry": {"delay": 5, "factor": 3.0, "retries": 1}, "timeout": 60, "name": "nightly", "tags": ["a", "b"],
            "id": ID(1), "parent": ID(2), "job_variables": {"image": "x"}, "idempotency_key": "k",
            "idempotency_ttl": 100, "parameters": None,
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        }
    )  # fmt: skip
    await publisher.read()
    run = await stack.client.get(ID(1))
    spec = run.spec
    assert (run.queue, run.labels, run.keys, run.state) == (
        "etl",
        ("arm", "gpu"),
        ("tenant:acme",),
        RunState.SCHEDULED,
    )
    assert run.scheduled_for == datetime(2040, 1, 31, 7, tzinfo=UTC)
    assert spec.expires_at == 1000 * datetime(2040, 2, 1, tzinfo=UTC).timestamp()
    assert spec.command == ("echo", "a b")
    assert (spec.retry.retries, spec.retry.delay, spec.retry.factor, spec.timeout) == (3, 5.0, 3.0, 60.0)
    assert (spec.name, spec.tags, spec.parent, spec.job_variables) == ("nightly", ("a", "b"), ID(2), {"image": "x"})
    assert spec.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert 90_000 < publisher.redis.pttl(f"{ROOT}:idem:k") <= 100_000


async def test_times_from_now_on_are_counted_by_the_servers_clock(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    seconds, _ = publisher.redis.time()
    publisher.add({"function": "f", "id": ID(1), "delay": 3600, "expires": 7200.5}, entry="5-1")  # of 1970
    await publisher.read()
    run = await stack.client.get(ID(1))
    began = datetime.fromtimestamp(seconds, UTC)
    assert run.scheduled_for
    assert run.spec.expires_at
    assert run.spec.at
    assert timedelta(hours=1) <= run.scheduled_for - began < timedelta(hours=1, seconds=30)
    assert run.spec.expires_at - run.spec.at == 3_600_500


async def test_answers_say_what_was_there_before(stack: Stack, publisher: Publisher, functions: Functions) -> None:
    await stack.dispatcher()
    first = {"function": "add", "parameters": {"a": 1, "b": 1}, "id": ID(1), "idempotency_key": "k"}
    publisher.add(first, reply="me")
    publisher.add(first, reply="me")
    publisher.add({**first, "id": ID(2)}, reply="other")
    await publisher.read()
    assert [(line["status"], line["run"]) for line in publisher.replies("me")] == [
        ("accepted", ID(1)),
        ("exists", ID(1)),
    ]
    assert [(line["status"], line["run"]) for line in publisher.replies("other")] == [("same", ID(1))]
    await stack.worker(functions)
    await wait_until(lambda: len(publisher.replies("other")) == 2, description="its end is told to the other too")
    publisher.add(first, reply="late")
    await publisher.read()
    assert [line.get("status", line.get("state")) for line in publisher.replies("late")] == ["exists", "completed"]
    assert len(publisher.replies("me")) == 3, "one end for each name"


async def test_alike_entries_are_as_many_runs(stack: Stack, publisher: Publisher) -> None:
    """An id that came again, as in a stream that begins anew, would make two runs one."""
    await stack.dispatcher()
    for _ in range(100):
        entry = publisher.add({"function": "f"})
        while publisher.unread():
            await asyncio.sleep(0)
        with pytest.raises(redis.ResponseError, match="equal or smaller"):
            publisher.add({"function": "f"}, entry=entry)
    assert len(set(publisher.backlog())) == 100


@pytest.mark.fault(31)
async def test_many_dispatchers_keep_the_order_and_publish_once(
    stack: Stack, publisher: Publisher, children: Children
) -> None:
    for _ in range(2):
        await stack.dispatcher()
    await stack.service_process(children, "dispatcher")
    ids = [ID(n) for n in range(3000)]
    for start in range(0, 3000, 100):
        publisher.add_many([{"function": "f", "id": run} for run in ids[start : start + 100]])
        publisher.add(run="not JSON")
        await asyncio.sleep(0)
    await publisher.read()
    assert publisher.backlog() == ids
    assert len(publisher.rejected()) == 30


async def test_a_dispatcher_that_dies_in_the_middle_loses_nothing(
    stack: Stack, publisher: Publisher, children: Children
) -> None:
    ids = [ID(n) for n in range(12_000)]
    publisher.add_many([{"function": "f", "id": run} for run in ids])
    for _ in range(3):
        before = publisher.unread()
        child = await stack.service_process(children, "dispatcher")
        await wait_until(lambda before=before: publisher.unread() < before, description="it reads", interval=0.001)
        child.kill()
    assert publisher.unread() > 0, "it was killed in the middle"
    await stack.dispatcher()
    await publisher.read()
    assert publisher.backlog() == ids


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
async def test_a_lost_reply_doubles_nothing(stack: Stack, publisher: Publisher, nth: int) -> None:
    async with FaultProxy(stack.url) as proxy:
        await stack.serve(dispatcher.service.serve, redis_url=proxy.url)
        publisher.add({"function": "f", "id": ID(999)})
        await publisher.read()
        fault = proxy.lose_reply(scripts.load("intake").sha.encode(), nth)
        documents = [{"function": "f"}] * 150
        publisher.add_many([*documents, {"function": ""}])
        await wait_until(fault.happened.is_set, description="a reply was lost")
        await publisher.read()
        assert len(publisher.backlog()) == len(set(publisher.backlog())) == 151
        assert len(publisher.rejected()) == 1


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "entry", ["18446744073709551614-0", "18446744073709551615-18446744073709551615", "9999999999999-5"]
)
async def test_an_id_of_the_far_future_bricks_nothing(stack: Stack, publisher: Publisher, entry: str) -> None:
    await stack.dispatcher()
    for round_ in range(2):
        publisher.add({"function": "f", "name": f"first {round_}"}, entry=entry)
        await publisher.read()
        publisher.add({"function": "f", "name": f"second {round_}"})
        await publisher.read()
    assert len(set(publisher.backlog())) == 4, "the same entry id with other content is another run"
    publisher.add({"function": "f", "name": "first 0"}, entry=entry, reply="me")
    await publisher.read()
    assert [line["status"] for line in publisher.replies("me")] == ["exists"], "with the same content it is the same"


async def test_ids_that_nobody_ever_saw_are_noticed(
    stack: Stack, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that is cut off as it is added wakes no reader, and leaves a stream without ids."""
    monkeypatch.setattr(intake_service, "ROUND_SECONDS", 0.05)
    publisher.redis.xadd(STREAM, {"run": "x"}, id="18446744073709551615-18446744073709551615", maxlen=0)
    with pytest.raises(redis.ResponseError, match="exhausted"):
        publisher.add({"function": "f"})
    await stack.dispatcher()

    def serves() -> bool:
        try:
            return bool(publisher.add({"function": "f"}))
        except redis.ResponseError:
            return False

    await wait_until(serves, description="the stream takes entries again")
    await publisher.read()
    assert len(publisher.backlog()) == 1


async def test_a_server_that_is_killed_in_the_middle_loses_no_entry(new_server: Callable[..., Server]) -> None:
    server = new_server(aof=True, settings={"appendfsync": "always"})
    ids = [ID(n) for n in range(8000)]
    async with running(server.url) as stack:
        publisher = Publisher(server.url)
        publisher.add_many([{"function": "f", "id": run} for run in ids])
        await stack.dispatcher()
        await wait_until(lambda: publisher.unread() < 8000, description="it reads", interval=0.001)
        await to_thread.run_sync(lambda: server.restart(kill=True))
        await publisher.read()
        assert publisher.backlog() == ids
        publisher.close()


async def test_what_no_shared_read_can_bring_is_read_by_itself(
    stack: Stack, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an entry so large that it takes longer than a read may: the script rejects it, nobody else holds it."""

    async def fail(*_: object) -> None:
        raise ServerUnreachable(stack.url, "silent")

    monkeypatch.setattr(IntakeStore, "wait", fail)
    await stack.dispatcher()
    publisher.add(run="x" * (2 * 1024 * 1024))
    publisher.add({"function": "f"})
    await publisher.read()
    assert len(publisher.rejected()) == len(publisher.backlog()) == 1


@pytest.mark.fault(22)
async def test_out_of_memory_entries_stay_and_are_read_again(new_server: Callable[..., Server]) -> None:
    server = new_server()
    async with running(server.url) as stack:
        publisher = Publisher(server.url)
        publisher.add_many([{"function": "f"}] * 10)
        publisher.add(run="bad")
        publisher.redis.config_set("maxmemory", 1)
        publisher.redis.config_resetstat()
        await stack.dispatcher()

        def refused() -> int:
            return int(publisher.redis.info("errorstats").get("errorstat_OOM", {"count": 0})["count"])

        await wait_until(lambda: refused() >= 2, description="it tried and was refused, more than once")
        assert publisher.unread() == 11
        assert publisher.rejected() == []
        publisher.redis.config_set("maxmemory", 0)
        await publisher.read()
        assert len(publisher.backlog()) == 10
        assert len(publisher.rejected()) == 1
        publisher.close()


async def test_an_unexpected_error_rejects_its_entry_alone(
    stack: Stack, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = judging.read_document

    def fail(value: Any) -> Any:
        if value["function"] == "odd":
            raise MemoryError("no room")
        return read(value)

    monkeypatch.setattr(judging, "read_document", fail)
    await stack.dispatcher()
    for name in ("f", "odd", "f"):
        publisher.add({"function": name})
    await publisher.read()
    assert [entry["reason"] for entry in publisher.rejected()] == ["could not be read: MemoryError no room"]
    assert len(publisher.backlog()) == 2


async def test_random_bytes_never_end_the_service(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    draw = random.Random(20)  # the same bytes each time
    good = [b'{"function": "f", "parameters": {"x": [1, 2.5, null, "\\u00e4"]}}', msgpack.packb({"function": "f"})]
    fields = [b"run", b"run.mp", b"reply", b"", b"\xff\x00"]
    with publisher.redis.pipeline(transaction=False) as pipe:
        for _ in range(1500):
            raw = bytearray(draw.choice(good))
            for _ in range(draw.randrange(4)):
                raw[draw.randrange(len(raw))] = draw.randrange(256)
            names = draw.sample(fields, draw.choice((1, 1, 1, 2)))
            pipe.xadd(STREAM, {name: bytes(raw) if name.startswith(b"run") else draw.randbytes(9) for name in names})
        pipe.execute()
    publisher.add({"function": "f", "id": ID(1)})
    await publisher.read()
    assert publisher.backlog()[-1] == ID(1)
    rejected = publisher.rejected()
    assert len(rejected) + len(publisher.backlog()) == 1501
    assert all(entry["reason"].isprintable() and 5 < len(entry["reason"]) <= 500 for entry in rejected)
    assert not [entry["reason"] for entry in rejected if "could not be read" in entry["reason"]]


@pytest.mark.fault(47)
async def test_trouble_of_one_pool_is_not_that_of_another(
    stack: Stack, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_service, "LONGEST_REST_SECONDS", 0.5)
    await stack.client.pools.create("other")
    publisher.redis.set("sluice:{other}:publish", "this is no stream")
    publisher.redis.sadd("sluice:pools", "never-made")
    publisher.add({"function": "f"}, to="sluice:{never-made}:publish")
    await stack.dispatcher()
    for n in range(3):
        publisher.add({"function": "f"})
        await wait_until(lambda n=n: len(publisher.backlog()) == n + 1, description="the sound pool is served")
    publisher.redis.delete("sluice:{other}:publish")
    publisher.add({"function": "f"}, to="sluice:{other}:publish")
    await publisher.read("sluice:{other}:publish")
    await stack.client.pools.create("never-made")
    await publisher.read("sluice:{never-made}:publish")
    assert (await stack.client.pools.get("never-made")).queued == 1


async def test_what_is_taken_in_is_counted(stack: Stack, publisher: Publisher) -> None:
    def count(name: str) -> float:
        return REGISTRY.get_sample_value(f"sluice_intake_{name}_total", {"pool": "default"}) or 0.0

    before = count("accepted"), count("rejected")
    await stack.dispatcher()
    publisher.add_many([{"function": "f"}] * 3)
    publisher.add(run="x")
    publisher.add(run="y" * (1024 * 1024))
    await publisher.read()
    await wait_until(
        lambda: (count("accepted") - before[0], count("rejected") - before[1]) == (3, 2), description="they count"
    )
