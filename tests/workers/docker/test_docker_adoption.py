"""One container a claim: conflicts, orphans, and workers that go on with what others have started."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dispatcher.models import HandOff
from tests.support.containers import Said, docker_type, hand_off
from tests.support.waiting import wait_until
from workers import Outcome
from workers.docker import DockerWorker

pytestmark = pytest.mark.docker
TICKING = "i=0; while [ $i -lt {0} ]; do echo line $i; i=$((i+1)); sleep 0.2; done; exit {1}"


@pytest.fixture
async def first(pool: str, engine: Any) -> AsyncIterator[tuple[DockerWorker, Said]]:
    kind, said = docker_type(pool)
    await kind.open()
    yield kind, said
    await kind.close()


@pytest.fixture
async def second(pool: str, engine: Any) -> AsyncIterator[tuple[DockerWorker, Said]]:
    kind, said = docker_type(pool)
    await kind.open()
    yield kind, said
    await kind.close()


def script(image: str, text: str, token: int = 1, run_id: str | None = None, **spec: Any) -> HandOff:
    return hand_off(token, run_id, command=text, job_variables={"image": image}, **spec)


async def test_a_container_that_another_worker_started_is_watched_on(
    first: Any, second: Any, image: str, containers: Any
):
    (kind, said), (other, heard) = first, second
    run = script(image, TICKING.format(30, 4))
    infrastructure = await kind.start(run)
    assert infrastructure.startswith(f"{kind.site}/")
    await wait_until(lambda: "line 2" in said.texts, description="it runs", timeout=40)
    await kind.release(run)
    assert await other.adopt(run, infrastructure)
    outcome = await other.watch(run, infrastructure)
    assert (outcome.outcome, outcome.argument) == ("failed", "exit_code")
    assert heard.lines[0][0] == "warning"
    assert "another worker" in heard.texts[0]
    numbers = [int(text.split()[1]) for text in heard.texts[1:] if text.startswith("line")]
    assert numbers == list(range(30)), "what its log has not, each line once"
    assert len(containers()) == 1
    await other.forget(run)
    assert containers() == []


async def test_the_end_of_a_container_that_nobody_watched_is_kept(first: Any, second: Any, image: str, engine: Any):
    kind, other = first[0], second[0]
    run = script(image, "exit 7")
    infrastructure = await kind.start(run)
    await kind.release(run)
    engine.wait(infrastructure.rpartition("/")[2])
    assert await other.adopt(run, infrastructure)
    assert (await other.watch(run, infrastructure)).argument == "exit_code"


async def test_a_container_that_is_gone_or_elsewhere_is_not_adopted(first: Any, second: Any, image: str, engine: Any):
    kind, other = first[0], second[0]
    run = script(image, "sleep 600")
    infrastructure = await kind.start(run)
    container = infrastructure.rpartition("/")[2]
    assert not await other.adopt(run, f"another-daemon/{container}")
    assert not await other.adopt(script(image, "true"), infrastructure), "it is another run's"
    await kind.release(run)
    engine.remove_container(container, force=True)
    assert not await other.adopt(run, infrastructure)


async def test_a_container_that_is_removed_while_it_is_watched_is_lost(first: Any, image: str, engine: Any):
    kind, _ = first
    run = script(image, "sleep 600")
    infrastructure = await kind.start(run)
    engine.remove_container(infrastructure.rpartition("/")[2], force=True)
    assert (await kind.watch(run, infrastructure)).outcome == "lost"


async def test_a_timeout_counts_from_the_containers_start(first: Any, second: Any, image: str):
    kind, other = first[0], second[0]
    run = script(image, "sleep 600", timeout=1.0)
    infrastructure = await kind.start(run)
    await kind.release(run)
    assert await other.adopt(run, infrastructure)
    other.cancel_grace = 0.2
    assert (await other.watch(run, infrastructure)).argument == "timed_out"


async def test_a_container_that_ended_in_time_is_not_timed_out_by_who_comes_late(
    first: Any, second: Any, image: str, engine: Any
):
    kind, other = first[0], second[0]
    run = script(image, "exit 0", timeout=1.5)
    infrastructure = await kind.start(run)
    await kind.release(run)
    engine.wait(infrastructure.rpartition("/")[2])
    began = time.monotonic()
    await wait_until(lambda: time.monotonic() > began + 1.6, description="its timeout has passed")
    assert await other.adopt(run, infrastructure)
    assert (await other.watch(run, infrastructure)).outcome == "completed"


async def test_what_another_worker_started_can_be_stopped_by_its_id(
    first: Any, second: Any, image: str, containers: Any
):
    kind, other = first[0], second[0]
    run = script(image, "trap '' TERM; while :; do sleep 0.1; done")
    infrastructure = await kind.start(run)
    await kind.release(run)
    await other.stop(run, infrastructure, 0.3)
    assert containers() == []
    await other.stop(run, infrastructure, 0.3)


async def test_started_twice_it_is_one_container(first: Any, second: Any, image: str, containers: Any):
    """A worker created it and nobody heard of it: the claim's name is taken, so the container is taken as it is."""
    kind, other = first[0], second[0]
    run = script(image, "echo once; sleep 600")
    await kind.prepare(run)
    (made,) = containers()
    assert made["State"] == "created"
    infrastructure = await other.start(run)
    assert infrastructure.endswith(made["Id"])
    assert [container["Id"] for container in containers()] == [made["Id"]]
    await other.stop(run, infrastructure, 0)


@pytest.mark.fault(39)
async def test_a_container_of_an_older_claim_is_stopped_before_a_new_one_starts(
    first: Any, second: Any, image: str, containers: Any
):
    kind, other = first[0], second[0]
    old = script(image, "sleep 600", token=1)
    before = await kind.start(old)
    new = script(image, "true", token=2, run_id=old.id)
    infrastructure = await other.start(new)
    assert [container["Id"] for container in containers()] == [infrastructure.rpartition("/")[2]]
    assert (await kind.watch(old, before)).outcome == "lost"
    assert (await other.watch(new, infrastructure)).outcome == "completed"


async def test_a_container_that_is_kept_is_only_stopped(first: Any, image: str, containers: Any):
    kind, _ = first
    kept = {"image": image, "auto_remove": False}
    old = hand_off(1, command="sleep 600", job_variables=kept)
    await kind.start(old)
    new = hand_off(2, old.id, command="true", job_variables=kept)
    infrastructure = await kind.start(new)
    assert await kind.watch(new, infrastructure) == Outcome("completed", "", b"\xc0")
    await kind.forget(new)
    assert {container["State"] for container in containers()} == {"exited"}
    assert len(containers()) == 2


async def test_a_run_that_is_prepared_has_a_container_that_goes_when_it_is_not_to_be(
    first: Any, image: str, containers: Any
):
    kind, _ = first
    run = script(image, "true")
    await kind.prepare(run)
    assert [container["State"] for container in containers()] == ["created"]
    await kind.stop(run, "", 0)
    assert containers() == []
    await kind.prepare(run)
    infrastructure = await kind.start(run)
    assert (await kind.watch(run, infrastructure)).outcome == "completed"
