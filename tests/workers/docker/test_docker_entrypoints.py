"""Entrypoints in containers that have Sluice in them: results, logs, children, and a worker that is replaced."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dispatcher import Client, RunFailed, RunState
from tests.support.containers import Said, docker_type, hand_off
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions
from workers.docker import DockerWorker

pytestmark = pytest.mark.docker


@pytest.fixture
def flow(client: Client, worker: Any, image: str, sluice_inside: dict[str, Any]):
    async def publish(name: str, **parameters: Any) -> Any:
        return await client.publish(
            None, parameters, entrypoint=f"relayed.py:{name}", timeout=60,
            job_variables={"image": image, **sluice_inside},
        )  # fmt: skip

    return publish


@pytest.fixture
async def attached(pool: str, engine: Any) -> AsyncIterator[Any]:
    """Types that are attached to the pool and open."""
    opened: list[DockerWorker] = []

    async def attach() -> tuple[DockerWorker, Said]:
        kind, said = docker_type(pool)
        await kind.open()
        opened.append(kind)
        return kind, said

    yield attach
    for kind in opened:
        await kind.close()


async def test_an_entrypoint_gives_its_result_and_what_it_writes_is_its_log(client: Client, flow: Any):
    assert await client.result(await flow("add", a=2, b=3), 60) == 5
    run = await flow("says")
    await client.result(run, 60)
    lines = [(line.level, line.text) async for line in client.logs(run)]
    assert sorted(lines) == [("error", "complained"), ("info", "printed"), ("warning", "logged count=2")]


async def test_an_entrypoint_knows_its_run_and_no_credentials(client: Client, flow: Any):
    run = await flow("knows", colour="red")
    found = await client.result(run, 60)
    over = await client.get(run)
    assert (found["run_id"], found["token"], found["attempt"]) == (run.id, over.claim_token, 1)
    assert found["parameters"] == {"colour": "red"}
    assert found["deadline"]
    assert found["variables"].keys() == {
        "SLUICE_RUN_ID", "SLUICE_POOL", "SLUICE_CLAIM_TOKEN", "SLUICE_ATTEMPT", "SLUICE_DEADLINE_MS",
        "SLUICE_PARAMETERS",
    }  # fmt: skip


async def test_an_entrypoint_that_raises_tells_its_error(client: Client, flow: Any):
    with pytest.raises(RunFailed, match="ValueError: no such luck"):
        await client.result(await flow("raises"), 60)


async def test_an_entrypoint_publishes_children_and_waits_for_them(client: Client, flow: Any, stack: Stack):
    functions = Functions()

    @functions.register
    def double(number: int) -> int:
        return 2 * number

    await stack.client.pools.create("others")
    await stack.worker(functions, pool="others")
    assert await client.result(await flow("asks", numbers=[1, 2, 3]), 60) == 12


async def test_a_large_result_after_many_lines_arrives(client: Client, flow: Any):
    run = await flow("floods", lines=5_000)
    assert await client.result(run, 60) == "x" * 400_000
    texts = [line.text async for line in client.logs(run)]
    assert [text for text in texts if text != "line 0"][-1] == "line 4999"


async def test_an_image_without_sluice_says_so(client: Client, worker: Any, image: str):
    run = await client.publish(None, {}, entrypoint="flows.py:add", job_variables={"image": image})
    with pytest.raises(RunFailed, match="python"):
        await client.result(run, 60)
    assert (await client.get(run)).state is RunState.FAILED


async def test_another_worker_goes_on_and_hears_the_end(attached: Any, image: str, sluice_inside: dict[str, Any]):
    (kind, said), (other, heard) = await attached(), await attached()
    variables = {"image": image, **sluice_inside}
    run = hand_off(entrypoint="relayed.py:ticks", parameters={"count": 20}, job_variables=variables)
    infrastructure = await kind.start(run)
    await wait_until(lambda: "tick 3" in said.texts, description="it ticks", timeout=60)
    await kind.release(run)
    assert await other.adopt(run, infrastructure)
    outcome = await other.watch(run, infrastructure)
    assert (outcome.outcome, outcome.result) == ("completed", b"\xa4over")
    ticks = [int(text.split()[1]) for text in heard.texts[1:]]
    assert ticks == list(range(ticks[0], 20))
    await other.forget(run)


async def test_an_end_that_was_told_while_nobody_listened_is_heard(
    attached: Any, image: str, sluice_inside: dict[str, Any], engine: Any
):
    (kind, _), (other, _) = await attached(), await attached()
    variables = {"image": image, **sluice_inside}
    run = hand_off(entrypoint="relayed.py:ticks", parameters={"count": 2}, job_variables=variables)
    infrastructure = await kind.start(run)
    await kind.release(run)
    engine.wait(infrastructure.rpartition("/")[2])
    assert await other.adopt(run, infrastructure)
    assert (await other.watch(run, infrastructure)).result == b"\xa4over"
    await other.forget(run)


async def test_what_was_asked_of_a_worker_that_went_is_asked_of_the_next_one(
    attached: Any, image: str, sluice_inside: dict[str, Any]
):
    (kind, said), (other, heard) = await attached(), await attached()
    variables = {"image": image, **sluice_inside}
    run = hand_off(entrypoint="relayed.py:asks", parameters={"numbers": [4]}, job_variables=variables)

    async def never(*_: Any) -> None:
        await wait_until(lambda: False, description="nothing", timeout=100)

    said.answer = never
    infrastructure = await kind.start(run)
    await wait_until(lambda: said.asked, description="it asked", timeout=60)
    await kind.release(run)

    def answer(verb: str, *words: Any) -> Any:
        if verb == "publish":
            return [[words[1][0][2]["run_id"], True]]
        return [["completed", "", 9]]

    heard.answer = answer
    assert await other.adopt(run, infrastructure)
    assert (await other.watch(run, infrastructure)).result == b"\x09"
    assert heard.asked[0] == said.asked[0]
    assert [verb for verb, *_ in heard.asked] == ["publish", "wait"]
    await other.forget(run)
