"""Hostile bytes given to services that run: each is answered, rejected or ended, and nobody goes down."""

import random
import struct
from collections import Counter
from pathlib import Path

import pytest
import redis

from dispatcher import codec
from dispatcher.ids import new_run_id
from dispatcher.models import RunSpec
from dispatcher.store.runs import WireRun
from tests.support.processes import Children
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness

LEVELS = {"debug", "info", "warning", "error", "cut"}
ENTRIES, SPECS = 3_000, 400
ROOT = "sluice:{default}"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Mutated documents, by the name of their target."""
    monkeypatch.syspath_prepend(SCRIPTS)
    from fuzzing.mutating import mutated
    from fuzzing.targets import TARGETS

    chance, seeds = random.Random(7), {target.name: target.seeds for target in TARGETS}
    return lambda name, other=(): mutated(chance, other or seeds[name])


async def test_thousands_of_hostile_entries_are_published_or_rejected(
    stack: Stack, children: Children, redis_url: str, drawn
):
    dispatcher = await stack.service_process(children, "dispatcher")
    with redis.Redis.from_url(redis_url) as publisher:
        pipe = publisher.pipeline(transaction=False)
        for number in range(ENTRIES):
            field, name = (("run", "intake, JSON"), ("run.mp", "intake, msgpack"))[number % 2]
            extra = {"reply": drawn("letter")} if number % 50 == 0 else {}
            odd = {drawn("letter") or b"x": b"y"} if number % 97 == 0 else {}
            pipe.xadd(f"{ROOT}:publish", {field: drawn(name), **extra, **odd})
        pipe.execute()
        await wait_until(lambda: not publisher.xlen(f"{ROOT}:publish"), description="all were read", timeout=90)
        rejected = publisher.xrange(f"{ROOT}:rejected")
        published = sum(int(count) for count in publisher.hvals(f"{ROOT}:depth"))
        assert all(entry[b"reason"] for _, entry in rejected)
        assert len(rejected) > ENTRIES // 2
        assert published > 0
        assert not any(b"could not be read" in entry[b"reason"] for _, entry in rejected), "an error nobody foresaw"
    good = await stack.client.publish("later", delay=3600)
    assert (await stack.client.get(good)).state.value == "scheduled"
    assert dispatcher.exit_code is None
    assert "intake.unexpected" not in dispatcher.text()


async def test_runs_with_hostile_specs_end_and_their_worker_goes_on(
    stack: Stack, children: Children, witness: Witness, drawn
):
    worker = await stack.worker_process(children, witness, limit=16)
    seeds = [codec.encode_spec(RunSpec(function="work", parameters={"name": "a"}, tags=("x",), timeout=5, name="n"))]
    specs = [drawn("spec", seeds if number % 2 else ()) for number in range(SPECS)]
    runs = [WireRun(new_run_id(), "default|", b"", spec) for spec in specs]
    runs += [WireRun(new_run_id(), "default|", b"", b"\x91" * 2_000), WireRun(new_run_id(), "default|", b"", b"\xff")]
    for begin in range(0, len(runs), 100):
        await stack.client._store.runs.publish("default", runs[begin : begin + 100])
    states: Counter[bytes] = Counter()

    async def all_over() -> bool:
        with redis.Redis.from_url(stack.url) as connection:
            states.clear()
            states.update(next(iter(fields)) for _, fields in connection.xrange(f"{ROOT}:finished"))
        return states.total() == len(runs)

    await wait_until(all_over, description="each has ended", timeout=90, interval=0.05)
    assert set(states) <= {b"failed", b"completed", b"expired"}, states
    assert worker.exit_code is None
    good = await stack.client.publish("work", {"name": "good"})
    await stack.client.result(good, 30)


async def test_hostile_letters_chunks_and_records_cost_nobody_anything(
    stack: Stack, children: Children, witness: Witness, drawn
):
    worker = await stack.worker_process(children, witness)
    (known,) = await stack.client.workers.list()
    run = await stack.client.publish("work", {"name": "first"})
    await stack.client.result(run, 30)
    with redis.Redis.from_url(stack.url) as attacker:
        for _ in range(200):
            attacker.xadd(f"{ROOT}:inbox:{known.id}", {drawn("letter") or b"x": drawn("spec") or b"y"})
            attacker.xadd(f"{ROOT}:log:{run.id}", {"h": drawn("letter"), "l": drawn("log")})
        attacker.hset(f"{ROOT}:worker:{known.id}", "info", drawn("worker") + b"\xc1")
        attacker.set(f"{ROOT}:r:{'a' * 32}", struct.pack(">BB", 1, 8) + drawn("record"))
        assert not [line.text async for line in stack.client.logs(run.id) if line.level not in LEVELS]
        assert (await stack.client.workers.list())[0].host == ""
        with pytest.raises(codec.DecodeError, match=f"the record of run {'a' * 32} cannot be read"):
            await stack.client.get("a" * 32)
        attacker.delete(f"{ROOT}:r:{'a' * 32}")
    await stack.client.result(await stack.client.publish("work", {"name": "second"}), 30)
    assert worker.exit_code is None
