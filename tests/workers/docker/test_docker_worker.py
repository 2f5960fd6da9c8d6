"""The docker worker on a real daemon: what a container is given, and how its end is told."""

import json
from typing import Any

import pytest

from dispatcher import Client, RunFailed, RunState
from tests.support.waiting import wait_until

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
    over = await client.get(found)
    assert over.infrastructure.endswith(f"/{containers()[0]['Id']}")
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


async def test_a_timeout_ends_the_container(client: Client, run: Any, engine: Any):
    found = await run(["sleep", "600"], timeout=1.5)
    assert "ran longer than its 1.5 s" in str(await failed(client, found))
    over = await client.get(found)
    assert over.reason == "timed_out"
    assert not engine.inspect_container(over.infrastructure.rpartition("/")[2])["State"]["Running"]


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


async def test_a_container_that_wants_too_much_memory_is_told_as_such(client: Client, run: Any):
    found = await run(
        ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=4"], mem_limit="16m", memswap_limit="16m"
    )
    assert "want of memory" in str(await failed(client, found))
    assert (await client.get(found)).reason == "out_of_memory"


async def test_a_signal_is_told_by_its_name(client: Client, run: Any, containers: Any, engine: Any):
    found = await run(["sleep", "600"])
    await wait_until(
        lambda: [one for one in containers() if one["State"] == "running"], description="it runs", timeout=40
    )
    engine.kill(containers()[0]["Id"], signal="SIGKILL")
    assert "SIGKILL" in str(await failed(client, found))
    assert (await client.get(found)).reason == "signal"
