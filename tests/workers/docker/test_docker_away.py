"""The daemon goes away and comes back: nothing is charged, nothing is lost, nobody is told an end that is none."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from dispatcher import Client, InvalidInput, RunState
from tests.support.containers import Said, docker_type, hand_off
from tests.support.stack import Stack
from tests.support.tunnel import Tunnel
from tests.support.waiting import wait_until
from workers import Worker
from workers.docker import DockerWorker

pytestmark = pytest.mark.docker
TICKING = "i=0; while [ $i -lt {} ]; do echo line $i; i=$((i+1)); sleep 0.1; done; exit 5"


@pytest.fixture
def tunnel(engine: Any) -> Iterator[Tunnel]:
    address = urlsplit(engine.base_url)
    if address.scheme not in ("http+docker", "unix"):
        pytest.skip("the daemon is not on a local socket")
    with Tunnel("/var/run/docker.sock") as opened:
        yield opened


@pytest.fixture
async def away(pool: str, tunnel: Tunnel) -> AsyncIterator[tuple[DockerWorker, Said]]:
    kind, said = docker_type(pool, tunnel.address)
    await kind.open()
    yield kind, said
    tunnel.restore()
    await kind.close()


async def test_a_type_does_not_open_where_no_daemon_answers(tunnel: Tunnel):
    tunnel.refuse()
    kind, _ = docker_type("p", tunnel.address)
    with pytest.raises(InvalidInput, match="no Docker daemon answers: .*DOCKER_HOST"):
        await kind.open()
    await kind.close()


async def test_a_run_goes_on_while_nobody_can_watch_it_and_no_line_is_lost_or_doubled(
    away: Any, tunnel: Tunnel, image: str
):
    kind, said = away
    run = hand_off(command=TICKING.format(40), job_variables={"image": image})
    infrastructure = await kind.start(run)
    watching = asyncio.get_running_loop().create_task(kind.watch(run, infrastructure))
    await wait_until(lambda: "line 3" in said.texts, description="it runs", timeout=40)
    for known in (3, 12):
        await wait_until(lambda known=known: f"line {known}" in said.texts, description="it goes on", timeout=40)
        tunnel.refuse()
        await wait_until(lambda: not kind.is_well(), description="the worker knows", timeout=40)
        tunnel.restore()
        await wait_until(kind.is_well, description="the daemon is back", timeout=40)
    outcome = await watching
    assert (outcome.outcome, outcome.argument) == ("failed", "exit_code")
    assert said.texts == [f"line {number}" for number in range(40)]


async def test_an_entrypoint_hears_its_answers_after_the_connection_was_cut(
    away: Any, tunnel: Tunnel, image: str, sluice_inside: dict[str, Any]
):
    kind, said = away
    variables = {"image": image, **sluice_inside}
    run = hand_off(entrypoint="relayed.py:asks", parameters={"numbers": [4]}, job_variables=variables)
    asked: list[str] = []

    def answer(verb: str, *words: Any) -> Any:
        asked.append(verb)
        tunnel.cut()
        if verb == "publish":
            return [[words[1][0][2]["run_id"], True]]
        return [["completed", "", 9]]

    said.answer = answer
    infrastructure = await kind.start(run)
    outcome = await kind.watch(run, infrastructure)
    assert (outcome.outcome, outcome.result) == ("completed", b"\x09")
    assert set(asked) == {"publish", "wait"}


@pytest.mark.fault(40)
async def test_what_cannot_start_goes_back_uncharged(
    away: Any, tunnel: Tunnel, image: str, monkeypatch: pytest.MonkeyPatch
):
    from workers.contract import CannotStart

    kind, _ = away
    monkeypatch.setattr("workers.docker.worker.AWAY_SECONDS", 0.5)
    tunnel.refuse()
    with pytest.raises(CannotStart) as refused:
        await kind.start(hand_off(command="true", job_variables={"image": image}))
    assert refused.value.outcome.outcome == "return"


@pytest.mark.fault(40)
async def test_a_worker_is_red_while_the_daemon_is_away_and_its_runs_wait(
    client: Client, stack: Stack, tunnel: Tunnel, image: str, containers: Any
):
    kind = DockerWorker(tunnel.address)
    worker: Worker = await stack.worker(kind, pool=client.pool, limit=2, lease=30, cancel_grace=0.2)
    assert worker.is_ready
    tunnel.refuse()
    run = await client.publish(command=["sleep", "600"], job_variables={"image": image})
    await wait_until(lambda: tunnel.refused > 3, description="it tries to start", timeout=40)
    assert not worker.is_ready
    assert (await client.get(run)).state is RunState.PENDING
    tunnel.restore()

    async def is_running() -> bool:
        return (await client.get(run)).state is RunState.RUNNING

    await wait_until(is_running, description="it runs", timeout=40)
    assert (await client.get(run)).attempt == 1
    tunnel.refuse()
    await client.cancel(run)
    known = tunnel.refused
    await wait_until(lambda: tunnel.refused > known + 5, description="it tries to stop it", timeout=40)
    assert (await client.get(run)).state is RunState.CANCELLING
    assert containers()[0]["State"] == "running"
    tunnel.restore()

    async def is_over() -> bool:
        return (await client.get(run)).state is RunState.CANCELLED

    await wait_until(is_over, description="it is cancelled", timeout=40)
    assert containers() == []
    assert worker.is_live
