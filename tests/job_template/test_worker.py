"""Templates on a worker: what runs get of them, what is refused, and that secrets show nowhere."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

from dispatcher import Client, RunFailed
from dispatcher.deployments import Deployment
from dispatcher.errors import InvalidInput
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import ProcessWorker
from workers.secrets import Secrets

CANARY = "canary-7d1f-{{ team }}"
SHOW = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
TEMPLATE: dict[str, Any] = {
    "job_configuration": {"env": "{{ env }}", "labels": "{{ labels }}"},
    "variables": {
        "properties": {
            "team": {"type": "string"},
            "labels": {"type": "object", "default": {}},
            "env": {"type": "object", "default": {"A": "pool", "B": "pool", "C": "pool"}},
        }
    },
    "secrets": {"allow": ["env:CANARY_*"]},
}


@pytest.fixture
async def client(stack: Stack, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A client of a process pool with TEMPLATE and a worker that knows a secret."""
    monkeypatch.setenv("CANARY_ONE", CANARY)
    await stack.client.pools.create("processes", type="process")
    await stack.client.pools.set_template("processes", TEMPLATE)
    await stack.worker(ProcessWorker(), pool="processes", limit=8, cancel_grace=1.0)
    async with Client(redis_url, pool="processes") as client:
        yield client


async def environment(client: Client, **variables: Any) -> dict[str, str]:
    run = await client.publish(command=SHOW, job_variables=variables)
    await client.result(run, 30)
    (line,) = [line.text async for line in client.logs(run)]
    found: dict[str, str] = json.loads(line)
    return found


async def refused(client: Client, **variables: Any) -> RunFailed:
    run = await client.publish(command=["true"], job_variables=variables)
    with pytest.raises(RunFailed) as failed:
        await client.result(run, 30)
    assert (failed.value.state, failed.value.reason) == ("failed", "invalid_job_variables")
    return failed.value


async def test_a_run_gets_what_pool_and_run_say(client: Client):
    found = await environment(client, **{"env.B": "run", "env": {"C": None, "D": 4}})
    assert {name: found.get(name) for name in "ABCD"} == {"A": "pool", "B": "run", "C": None, "D": "4"}


async def test_a_deployment_is_between_pool_and_run(client: Client):
    own = {"env": {"A": "deployment", "B": "deployment"}}
    await client.deployments.put(Deployment(name="show", pool="processes", command=tuple(SHOW), job_variables=own))
    run = await client.deployments.run("show", job_variables={"env.B": "run"})
    await client.result(run, 30)
    (line,) = [line.text async for line in client.logs(run)]
    found = json.loads(line)
    assert (found["A"], found["B"], found["C"]) == ("deployment", "run", "pool")


async def test_variables_that_do_not_fit_end_the_run_with_all_that_is_wrong(client: Client):
    failed = await refused(client, envs={}, team=1)
    assert "/envs" in failed.error
    assert "/team" in failed.error
    assert "/working_dir" in (await refused(client, working_dir="/")).error


async def test_a_new_template_is_used_by_the_runs_after_it(client: Client):
    assert (await environment(client))["A"] == "pool"
    await client.pools.set_template("processes", None)

    async def has_changed() -> bool:
        return "A" not in await environment(client, env={"X": "1"})

    await wait_until(has_changed, description="the worker has the template of its type", timeout=30)


async def test_a_stored_template_that_cannot_be_used_fails_runs_and_not_the_worker(client: Client, redis_url: str):
    with redis.Redis.from_url(redis_url) as connection:
        connection.hset("sluice:{processes}", mapping={"template": '{"variables": {}}', "template_version": 99})

    async def is_told() -> bool:
        run = await client.publish(command=["true"])
        try:
            await client.result(run, 30)
        except RunFailed as failed:
            assert failed.reason == "invalid_job_variables"
            return "/job_configuration" in failed.error
        return False

    await wait_until(is_told, description="runs end with the template's faults", timeout=30)


async def test_a_secret_reaches_the_run_and_nothing_else(
    client: Client, redis_url: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    place = tmp_path / "got"
    code = f"import os, pathlib; pathlib.Path({str(place)!r}).write_text(os.environ['P'])"
    secret = {"secretRef": "env:CANARY_ONE"}
    run = await client.publish(command=[sys.executable, "-c", code], job_variables={"env": {"P": secret}})
    await client.result(run, 30)
    assert await asyncio.to_thread(place.read_text) == CANARY
    await refused(client, env={"P": secret, "=": secret}, working_dir="/")
    await refused(client, env={"P": {"secretRef": "env:PATH"}})
    missing = await refused(client, env={"P": secret, "Q": {"secretRef": "env:CANARY_TWO"}})
    assert "env:CANARY_TWO" in missing.error
    with redis.Redis.from_url(redis_url) as connection:
        for key in connection.scan_iter("*", count=1000):
            assert b"canary-7d1f" not in (connection.dump(key) or b""), key
    assert "canary-7d1f" not in "".join(capfd.readouterr())


async def test_a_secret_that_the_configuration_does_not_take_is_not_in_the_error(client: Client):
    template = {**TEMPLATE, "job_configuration": {"env": "{{ env }}", "stream_output": "{{ team }}"}}
    await client.pools.set_template("processes", template)

    async def is_told() -> bool:
        run = await client.publish(command=["true"], job_variables={"team": {"secretRef": "env:CANARY_ONE"}})
        try:
            await client.result(run, 30)
        except RunFailed as failed:
            assert CANARY not in str(failed)
            assert failed.reason == "invalid_job_variables"
            return "/stream_output" in failed.error
        return False

    await wait_until(is_told, description="the worker uses the new template", timeout=30)


def test_a_file_may_be_linked_to_only_where_secrets_are_allowed(tmp_path: Path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (tmp_path / "other").write_text("no")
    (folder / "real").write_text("yes\n")
    (folder / "inside").symlink_to(folder / "real")
    (folder / "outside").symlink_to(tmp_path / "other")
    (tmp_path / "way").symlink_to(folder)
    secrets = Secrets([f"file:{folder}/*", f"file:{tmp_path}/way/*"], {})
    assert secrets(f"file:{folder}/inside") == "yes"
    assert secrets(f"file:{tmp_path}/way/real") == "yes"
    for place in (f"{folder}/outside", f"{folder}/absent"):
        with pytest.raises(InvalidInput, match="secret"):
            secrets(f"file:{place}")
    assert secrets.hide("it is yes") == "it is (secret)"
