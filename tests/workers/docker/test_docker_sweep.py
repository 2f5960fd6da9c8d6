"""Containers of nobody's claim are ended; those of other installations and of claims that count are left alone."""

from typing import Any

import pytest

from dispatcher import Client
from tests.support.containers import docker_type, hand_off
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until
from workers.docker import DockerWorker

pytestmark = pytest.mark.docker


def state_of(engine: Any, infrastructure: str) -> str:
    found = engine.containers(all=True, filters={"id": infrastructure.rpartition("/")[2]})
    return found[0]["State"] if found else "gone"


async def test_a_worker_ends_what_belongs_to_no_claim(
    client: Client, stack: Stack, image: str, engine: Any, monkeypatch: pytest.MonkeyPatch
):
    installation = f"{client.pool}-{await client._store.pools.created(client.pool)}"
    started = {}
    for name in (installation, f"{client.pool}-1"):
        kind, _ = docker_type(client.pool)
        kind._installation = name
        await kind.open()
        started[name] = await kind.start(hand_off(command="sleep 600", job_variables={"image": image}))
        await kind.close()
    await stack.worker(DockerWorker(), pool=client.pool, limit=2)
    await wait_until(
        lambda: state_of(engine, started[installation]) == "gone", description="the orphan is gone", timeout=40
    )
    assert state_of(engine, started[f"{client.pool}-1"]) == "running", "it is another installation's"


async def test_a_sweep_leaves_running_runs_alone(
    client: Client, stack: Stack, image: str, engine: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.docker.worker.SWEEP_SECONDS", 0.2)
    await stack.worker(DockerWorker(), pool=client.pool, limit=2)
    run = await client.publish(command="sleep 3; echo over", shell=True, job_variables={"image": image})
    kind, _ = docker_type(client.pool)
    kind._installation = f"{client.pool}-{await client._store.pools.created(client.pool)}"
    await kind.open()
    orphan = await kind.start(hand_off(command="sleep 600", job_variables={"image": image}))
    await wait_until(lambda: state_of(engine, orphan) == "gone", description="it swept", timeout=40)
    await kind.close()
    await client.result(run, 60)
    assert [line.text async for line in client.logs(run)] == ["over"]


@pytest.mark.fault(39)
async def test_a_worker_that_is_killed_leaves_its_container_to_another_one(
    client: Client, stack: Stack, image: str, engine: Any, children: Any, redis_url: str
):
    """The container's own log shows one start."""
    await stack.dispatcher()
    first = children.python(PROGRAMS / "docker_worker.py", redis_url, client.pool)
    script = "echo started; i=0; while [ $i -lt 60 ]; do sleep 0.1; i=$((i+1)); echo $i; done; echo over; exit 0"
    run = await client.publish(command=script, shell=True, job_variables={"image": image, "auto_remove": False})

    async def is_running() -> bool:
        assert first.exit_code is None, first.text()
        return (await client.get(run)).state.value == "running"

    await wait_until(is_running, description="the first worker runs it", timeout=40)
    first.kill()
    await stack.worker(DockerWorker(), pool=client.pool, limit=2)
    await client.result(run, 60)
    over = await client.get(run)
    assert (over.attempt, over.crashes) == (1, 0)
    log = engine.logs(over.infrastructure.rpartition("/")[2]).decode()
    wrote = ["started", *map(str, range(1, 61)), "over"]
    assert log.splitlines() == wrote
    kept = [line.text async for line in client.logs(run) if line.level != "warning"]
    assert kept == sorted(set(kept), key=wrote.index), "no line twice, and in their order"
    assert len(wrote) - len(kept) <= 4, "what the first worker had read and not written yet"


async def test_an_entrypoint_outlives_its_worker_and_its_result_is_kept(
    client: Client, stack: Stack, image: str, children: Any, redis_url: str, sluice_inside: dict[str, Any]
):
    await stack.dispatcher()
    first = children.python(PROGRAMS / "docker_worker.py", redis_url, client.pool)
    run = await client.publish(
        None, {"count": 80}, entrypoint="relayed.py:ticks", job_variables={"image": image, **sluice_inside}
    )

    async def has_begun() -> bool:
        assert first.exit_code is None, first.text()
        return "tick 3" in [line.text async for line in client.logs(run)]

    await wait_until(has_begun, description="it ticks", timeout=60)
    first.kill()
    await stack.worker(DockerWorker(), pool=client.pool, limit=2)
    assert await client.result(run, 60) == "over"
    over = await client.get(run)
    assert (over.attempt, over.crashes) == (1, 0)
    texts = [line.text async for line in client.logs(run)]
    assert texts[-1] == "tick 79"
    assert sum("another worker goes on" in text for text in texts) == 1
    ticks = [text for text in texts if text.startswith("tick")]
    assert len(ticks) == len(set(ticks)), "each line once"
