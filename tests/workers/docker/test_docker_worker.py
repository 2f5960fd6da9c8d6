"""The docker worker on a real daemon: what a container is given, and how its end is told."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from dispatcher import Client, RetryPolicy, RunFailed, RunState
from tests.support.containers import docker_type, hand_off
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers.contract import CannotStart
from workers.docker import DockerWorker

pytestmark = pytest.mark.docker


@pytest.fixture
def run(client: Client, worker: Any, image: str):
    async def publish(command: Any, parameters: Any = None, timeout: float | None = None, **variables: Any) -> Any:
        shell = isinstance(command, str)
        return await client.publish(
            None, parameters, command=command, shell=shell, timeout=timeout, job_variables={"image": image, **variables}
        )

    return publish


@pytest.fixture
def says(client: Client, run: Any):
    """What a command writes to its stdout."""

    async def said(command: Any, **options: Any) -> str:
        found = await run(command, **options)
        await client.result(found, 60)
        return "\n".join([line.text async for line in client.logs(found) if line.level == "info"])

    return said


async def failed(client: Client, run: Any) -> RunFailed:
    with pytest.raises(RunFailed) as found:
        await client.result(run, 60)
    return found.value


async def test_a_command_completes_and_what_it_writes_is_its_log(client: Client, run: Any, containers: Any):
    found = await run("echo out; echo err >&2")
    assert await client.result(found, 60) is None
    assert sorted([(line.level, line.text) async for line in client.logs(found)]) == [("error", "err"), ("info", "out")]
    assert len((await client.get(found)).infrastructure.rpartition("/")[2]) == 64
    await wait_until(lambda: not containers(), description="the container is removed", timeout=40)


async def test_a_failing_command_says_its_code_and_the_end_of_its_errors(client: Client, run: Any):
    found = await run("echo broken >&2; exit 3")
    error = await failed(client, found)
    assert "exit code 3\nbroken" in str(error)
    assert (await client.get(found)).reason == "exit_code"


async def test_a_container_has_its_variables_and_nothing_of_the_worker(
    client: Client, says: Any, monkeypatch: pytest.MonkeyPatch, redis_url: str
):
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.setenv("A_SECRET_OF_THE_WORKER", "canary")
    text = await says(["env"], parameters={"day": 1}, timeout=60, env={"COLOUR": "red", "PATH": "/bin", "HOME": None})
    seen = dict(line.split("=", 1) for line in text.splitlines())
    assert seen.keys() <= {
        "COLOUR", "PATH", "HOSTNAME", "HOME", "SLUICE_RUN_ID", "SLUICE_POOL", "SLUICE_CLAIM_TOKEN", "SLUICE_ATTEMPT",
        "SLUICE_DEADLINE_MS", "SLUICE_PARAMETERS",
    }  # fmt: skip
    assert (seen["COLOUR"], seen["SLUICE_POOL"], seen["SLUICE_ATTEMPT"]) == ("red", client.pool, "1")
    assert json.loads(seen["SLUICE_PARAMETERS"]) == {"day": 1}
    assert int(seen["SLUICE_DEADLINE_MS"]) > int(seen["SLUICE_CLAIM_TOKEN"])


@pytest.mark.parametrize(
    ("command", "variables", "reason"),
    [
        (["no-such-program"], {}, "not_found"),
        (["true"], {"working_dir": "/bin/busybox"}, "not_found"),
        (["true"], {"networks": ["no-such-network"]}, "container_refused"),
        (["true"], {"volumes": ["no/good/name:/in"]}, "container_refused"),
        (["true"], {"user": "nobody-of-this-name"}, "container_refused"),
    ],
)
async def test_what_cannot_start_is_told_with_the_daemons_words(
    client: Client, run: Any, containers: Any, command: list[str], variables: dict[str, Any], reason: str
):
    error = str(await failed(client, await run(command, **variables)))
    assert f"({reason})" in error
    assert (
        next(iter(variables.values()), ["no-such-program"])[0][:8] in error
        or variables.get("working_dir", "?") in error
    )
    assert containers() == []


async def test_pull_steps_and_functions_are_refused(client: Client, worker: Any, image: str):
    pull = [{"git_clone": {"repository": "https://example.org/a.git"}}]
    kind, _ = docker_type(client.pool)
    with pytest.raises(CannotStart) as refused:
        await kind.start(hand_off(command=["true"], job_variables={"image": image}, pull=(pull[0],)))
    assert b"put the code into the image" in refused.value.outcome.result
    assert "executes a command or an entrypoint" in str(await failed(client, await client.publish("f")))


async def test_a_failed_attempt_is_tried_again_in_a_container_of_its_own(client: Client, worker: Any, image: str):
    run = await client.publish(
        command="echo attempt $SLUICE_ATTEMPT; test $SLUICE_ATTEMPT = 2", shell=True, job_variables={"image": image},
        retry=RetryPolicy(retries=2, delay=0),
    )  # fmt: skip
    assert await client.result(run, 60) is None
    assert [line.text async for line in client.logs(run)] == ["attempt 1", "attempt 2"]


async def test_a_run_is_prepared_before_it_is_due_and_starts_at_its_time(
    client: Client, stack: Stack, worker: Any, image: str, containers: Any
):
    await stack.scheduler()
    at = datetime.now(UTC) + timedelta(seconds=6)
    run = await client.publish(command=["true"], job_variables={"image": image}, at=at)
    await wait_until(containers, description="its container is there", timeout=40)
    if datetime.now(UTC) < at:  # a machine may be too slow to see it
        assert [one["State"] for one in containers()] == ["created"]
    await client.result(run, 60)
    assert (await client.get(run)).started_at >= at - timedelta(milliseconds=50)


async def test_a_worker_that_stops_leaves_its_containers_to_another_one(
    client: Client, stack: Stack, image: str, containers: Any
):
    first = await stack.worker(DockerWorker(), pool=client.pool, limit=2, grace=0.1)
    script = "echo started; while ! test -e /go; do sleep 0.1; done; echo over"
    run = await client.publish(command=script, shell=True, job_variables={"image": image})

    async def has_started() -> bool:
        return [line.text async for line in client.logs(run)] == ["started"]

    await wait_until(has_started, description="it runs", timeout=40)
    first.stop()
    await wait_until(lambda: not first.is_live, description="the first worker has left", timeout=40)
    await stack.worker(DockerWorker(), pool=client.pool, limit=2)
    (container,) = containers()
    await anyio.to_thread.run_sync(touch, container["Id"])
    assert await client.result(run, 60) is None
    assert [line.text async for line in client.logs(run)][-1] == "over"
    assert (await client.get(run)).attempt == 1


def touch(container: str) -> None:
    """Let the command of a container go on."""
    subprocess.run(["docker", "exec", container, "sh", "-c", "echo > /go"], check=True, capture_output=True)


async def test_a_timeout_ends_the_container(client: Client, run: Any, containers: Any):
    found = await run(["sleep", "600"], timeout=1.5)
    assert "ran longer than its 1.5 s" in str(await failed(client, found))
    over = await client.get(found)
    assert over.reason == "timed_out"
    assert over.infrastructure
    assert [one for one in containers() if one["State"] == "running"] == []


async def test_a_cancelled_run_may_clean_up_within_its_grace(client: Client, run: Any, containers: Any):
    found = await run("trap 'echo cleaning; exit 0' TERM; echo ready; while :; do sleep 0.1; done", grace_seconds=60)

    async def is_ready() -> bool:
        return [line.text async for line in client.logs(found)] == ["ready"]

    await wait_until(is_ready, description="the command runs", timeout=40)
    await client.cancel(found)

    async def is_over() -> bool:
        return (await client.get(found)).state is RunState.CANCELLED

    await wait_until(is_over, description="it is cancelled", timeout=40)
    assert [line.text async for line in client.logs(found)] == ["ready", "cleaning"]
    assert containers() == []


async def test_a_cancelled_run_that_will_not_end_is_killed(client: Client, run: Any, containers: Any):
    found = await run("trap '' TERM; echo ready; while :; do sleep 0.1; done", grace_seconds=0.5)

    async def is_ready() -> bool:
        return [line.text async for line in client.logs(found)] == ["ready"]

    await wait_until(is_ready, description="the command runs", timeout=40)
    await client.cancel(found)

    async def is_over() -> bool:
        return (await client.get(found)).state is RunState.CANCELLED

    await wait_until(is_over, description="it is cancelled", timeout=40)
    assert containers() == []


@pytest.mark.fault(38)
async def test_a_container_that_wants_too_much_memory_is_told_as_such(client: Client, run: Any):
    """A busy daemon misses one in some ten: it then says no more than SIGKILL, and of six it does not miss all."""
    reasons = set()
    for _ in range(6):
        found = await run(
            ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=4"], mem_limit="16m", memswap_limit="16m"
        )
        assert "want of memory" in str(await failed(client, found))
        reasons.add((await client.get(found)).reason)
        if "out_of_memory" in reasons:
            return
    pytest.fail(f"they were told as {reasons}")


async def test_a_signal_is_told_by_its_name(client: Client, run: Any, containers: Any, engine: Any):
    found = await run(["sleep", "600"])
    await wait_until(
        lambda: [one for one in containers() if one["State"] == "running"], description="it runs", timeout=40
    )
    engine.kill(containers()[0]["Id"], signal="SIGKILL")
    assert "SIGKILL" in str(await failed(client, found))
    assert (await client.get(found)).reason == "signal"
