"""Deployments through the client: written, changed, moved, run, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dispatcher import BlockingClient, Client, InvalidInput, PoolNotFound, RunState
from dispatcher.deployments import Deployment, read_deployment
from dispatcher.errors import DeploymentChanged, DeploymentExists, DeploymentNotFound, ScheduleNotFound
from tests.support.stack import Stack
from workers import Functions


@pytest.fixture
def client(stack: Stack) -> Client:
    return stack.client


def deployment(name: str = "etl daily", **fields: Any) -> Deployment:
    return read_deployment({"name": name, "function": "add", **fields})


def functions() -> Functions:
    found = Functions()

    @found.register
    def add(a: int, b: int = 0) -> int:
        return a + b

    return found


async def test_a_deployment_is_there_as_it_was_written(client: Client) -> None:
    document = deployment(
        tags=["a"], parameters={"a": 1}, job_variables={"env": {"A": "1"}}, keys=["tenant:{{ parameters.a }}"],
        concurrency={"limit": 2, "when_full": "skip"}, retry={"retries": 3}, timeout="5m",
        schedules=[{"cron": "0 9 * * *", "timezone": "Europe/Berlin"}, {"interval": "1h", "paused": True}],
    )  # fmt: skip
    stored = await client.deployments.put(document)
    assert (stored.document, stored.version, stored.pool) == (document, 1, "default")
    assert await client.deployments.get("etl daily") == stored
    assert await client.deployments.list() == [stored]
    daily, hourly = stored.schedules
    assert daily.next_at is not None
    now = await client.deployments.now()
    assert daily.next_at > now
    assert hourly.next_at is None
    assert [(limit.key, limit.limit, limit.when_full) for limit in await client.limits.list()] == [
        ("deployment:etl%20daily", 2, "skip")
    ]


async def test_the_same_again_changes_nothing_and_another_counts(client: Client) -> None:
    first = await client.deployments.put(deployment(schedules=[{"interval": "1h"}]))
    assert await client.deployments.put(deployment(schedules=[{"interval": "1h"}])) == first
    second = await client.deployments.put(deployment(description="new", schedules=[{"interval": "1h"}]))
    assert second.version == 2
    assert second.schedules == first.schedules, "a schedule whose timing stays goes on where it is"
    with pytest.raises(DeploymentExists, match="in pool 'default'"):
        await client.deployments.put(deployment(description="newer"), expect=0)
    with pytest.raises(DeploymentChanged, match="version 2"):
        await client.deployments.put(deployment(description="newer"), expect=1)
    await client.limits.set("deployment:etl%20daily", 7)
    assert (await client.deployments.put(second.document)).version == 3
    assert await client.limits.list() == []
    third = await client.deployments.update("etl daily", schedules=[{"interval": "2h"}], concurrency=None)
    assert [schedule.interval for schedule in third.document.schedules] == [7200]
    assert len(third.schedules) == 1


async def test_what_is_wrong_is_told_at_once_and_nothing_is_written(client: Client) -> None:
    wrong = deployment(
        parameters={"a": "x"}, parameter_schema={"properties": {"a": {"type": "integer"}}},
        keys=["tenant:{{ tenant }}"], cache={"key": "{{ x", "ttl": 5},
        schedules=[{"cron": "61 * * * *"}, {"interval": 60, "timezone": "Mars/Base"}],
    )  # fmt: skip
    with pytest.raises(InvalidInput) as caught:
        await client.deployments.put(wrong)
    for pointer in ("/parameters/a", "/keys/0", "/cache/key", "/schedules/0", "/schedules/1"):
        assert pointer in str(caught.value)
    with pytest.raises(PoolNotFound):
        await client.deployments.put(deployment(pool="nowhere"))
    with pytest.raises(InvalidInput, match="executes functions"):
        await client.deployments.put(read_deployment({"name": "x", "command": ["true"]}))
    assert await client.deployments.list() == []


@pytest.mark.parametrize("name", ["", "a/b", " a", "a\nb", "x" * 101, "a:*", "%" * 60])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="/name"):
        deployment(name)


@pytest.mark.parametrize("name", ["etl daily", "a|b", "50%", "zürich, nightly", "%20"])
async def test_names_are_free_text(client: Client, name: str) -> None:
    await client.deployments.put(
        deployment(name, concurrency={"limit": 1}, schedules=[{"interval": 60, "when_full": "skip"}])
    )
    assert (await client.deployments.get(name)).name == name
    await client.deployments.run(name, {"a": 1})
    await client.deployments.delete(name)
    with pytest.raises(DeploymentNotFound):
        await client.deployments.get(name)
    assert await client.limits.list() == []


async def test_a_run_holds_all_that_its_deployment_says(stack: Stack) -> None:
    client = stack.client
    await client.queues.create("nightly")
    document = deployment(
        queue="nightly", parameters={"a": 1, "b": 1}, keys=["tenant:{{ parameters.tenant }}"], tags=["x"], timeout=60,
        job_variables={"env": {"A": "1"}}, concurrency={"limit": 1}, retry={"retries": 2},
        parameter_schema={"properties": {"a": {"type": "integer"}}, "required": ["a", "tenant"]}, expires=3600,
    )  # fmt: skip
    await client.deployments.put(document)
    run = await client.get(await client.deployments.run("etl daily", {"tenant": "acme", "b": 5}))
    assert (run.queue, run.keys) == ("nightly", ("tenant:acme", "deployment:etl%20daily"))
    spec = run.spec
    assert (spec.parameters, spec.tags, spec.timeout, spec.retry.retries) == (
        {"a": 1, "b": 5, "tenant": "acme"}, ("x",), 60, 2,
    )  # fmt: skip
    assert (spec.deployment, spec.deployment_version, spec.deployment_variables) == (
        "etl daily", "1", {"env": {"A": "1"}},
    )  # fmt: skip
    assert spec.expires_at
    with pytest.raises(InvalidInput, match="tenant"):
        await client.deployments.run("etl daily")
    with pytest.raises(InvalidInput, match="/parameters/a"):
        await client.deployments.run("etl daily", {"a": "x", "tenant": "acme"})


@pytest.mark.parametrize(
    ("when_full", "states"),
    [
        ("wait", ["queued", "queued", "queued"]),
        ("skip", ["queued", "cancelled", "cancelled"]),
        ("wait_one", ["queued", "queued", "cancelled"]),
        ("replace", ["cancelled", "cancelled", "queued"]),
    ],
)
async def test_one_more_than_its_limit(client: Client, when_full: str, states: list[str]) -> None:
    await client.deployments.put(deployment(concurrency={"limit": 1, "when_full": when_full}))
    runs = [await client.deployments.run("etl daily", {"a": 1}) for _ in range(3)]
    found = [await client.get(run) for run in runs]
    assert [run.state.value for run in found] == states
    assert {run.reason for run in found if run.state is RunState.CANCELLED} <= {"skipped", "replaced"}


async def test_a_result_is_reused_while_it_is_kept(stack: Stack) -> None:
    client = stack.client
    await stack.worker(functions())
    await client.deployments.put(deployment(cache={"key": "sum:{{ parameters.a }}", "ttl": "1h"}))
    first = await client.deployments.run("etl daily", {"a": 1})
    assert await client.result(first, 10) == 1
    again = await client.deployments.run("etl daily", {"a": 1, "b": 100})
    assert await client.result(again, 10) == 1
    found = await client.get(again)
    assert (found.state, found.reason, found.attempt) == (RunState.COMPLETED, "cached", 0)
    assert await client.result(await client.deployments.run("etl daily", {"a": 2}), 10) == 2


async def test_a_deployment_moves_with_its_schedules(client: Client) -> None:
    await client.pools.create("other")
    await client.deployments.put(deployment(schedules=[{"interval": "1h"}], concurrency={"limit": 1}))
    before = await client.deployments.get("etl daily")
    moved = await client.deployments.move("etl daily", "other")
    assert (moved.pool, moved.schedules[0].next_at) == ("other", before.schedules[0].next_at)
    assert [stored.pool for stored in await client.deployments.list()] == ["other"]
    assert await client.limits.list() == []
    assert [limit.key for limit in await client.limits.list(pool="other")] == ["deployment:etl%20daily"]
    with pytest.raises(DeploymentExists, match="in pool 'other'"):
        await client.deployments.put(deployment())
    with pytest.raises(PoolNotFound):
        await client.deployments.move("etl daily", "nowhere")


async def test_schedules_rest_and_go_on(client: Client) -> None:
    await client.deployments.put(deployment(schedules=[{"id": "a", "interval": "1h"}, {"id": "b", "interval": "2h"}]))
    paused = await client.deployments.pause("etl daily", schedule="a")
    assert [state.next_at is None for state in paused.schedules] == [True, False]
    rests = await client.deployments.pause("etl daily")
    assert [state.next_at for state in rests.schedules] == [None, None]
    goes_on = await client.deployments.resume("etl daily")
    assert [state.next_at is None for state in goes_on.schedules] == [True, False]
    with pytest.raises(ScheduleNotFound, match="it has a, b"):
        await client.deployments.pause("etl daily", schedule="c")


async def test_backfilled_runs_are_there_once(client: Client) -> None:
    await client.deployments.put(
        deployment(parameters={"a": 1}, schedules=[{"id": "a", "cron": "0 9 * * *", "when_full": "skip"}])
    )
    days = [datetime(2026, 3, day, 9, tzinfo=UTC) for day in range(1, 6)]
    first = await client.deployments.backfill("etl daily", "a", days)
    assert [run.is_new for run in first] == [True] * 5
    again = await client.deployments.backfill("etl daily", "a", [*days, datetime(2026, 3, 6, 9, tzinfo=UTC)])
    assert [run.is_new for run in again] == [False] * 5 + [True]
    assert [run.id for run in again[:5]] == [run.id for run in first]
    assert (await client.get(first[0])).spec.schedule == "a"


async def test_job_variables_are_held_against_the_pools_template(client: Client) -> None:
    await client.pools.create("shell", type="process")
    template = {
        "job_configuration": {"env": {"REGION": "{{ region }}"}},
        "variables": {
            "type": "object", "required": ["region"],
            "properties": {"region": {"type": "string", "enum": ["eu", "us"]}, "env": {"type": "object"}},
        },
    }  # fmt: skip
    await client.pools.set_template("shell", template)

    def shell(**fields: Any) -> Deployment:
        return read_deployment({"name": "etl", "pool": "shell", "command": ["true"], **fields})

    for variables in ({"region": "mars"}, {"regoin": "eu"}, {"region": 1}):
        with pytest.raises(InvalidInput, match="/job_variables/reg"):
            await client.deployments.put(shell(job_variables=variables))
    with pytest.raises(InvalidInput, match="/schedules/0/job_variables/region"):
        await client.deployments.put(shell(schedules=[{"interval": 60, "job_variables": {"region": "mars"}}]))
    await client.deployments.put(shell())
    with pytest.raises(InvalidInput, match="region"):
        await client.deployments.run("etl")
    run = await client.get(await client.deployments.run("etl", job_variables={"region": "eu"}), pool="shell")
    assert run.spec.job_variables == {"region": "eu"}


async def test_pull_steps_are_looked_at_before_they_are_written(client: Client) -> None:
    await client.pools.create("shell", type="process")
    steps = [{"git_clone": {"repository": "--upload-pack=x"}}, {"run_shell_script": {"script": "ls"}}]
    wrong = read_deployment({"name": "etl", "pool": "shell", "command": ["true"], "pull": steps})
    with pytest.raises(InvalidInput, match="/pull/0.*/pull/1: 'run_shell_script'"):
        await client.deployments.put(wrong)


async def test_a_registered_function_is_deployed_with_the_schema_of_its_parameters(stack: Stack) -> None:
    registered = functions()
    await stack.worker(registered)
    stored = await registered.deploy(stack.client, "add", "sum", parameters={"b": 1}, tags=["x"])
    assert (stored.name, stored.document.function) == ("sum", "add")
    with pytest.raises(InvalidInput, match="/parameters/a"):
        await stack.client.deployments.run("sum", {"a": "x"})
    assert await stack.client.result(await stack.client.deployments.run("sum", {"a": 2}), 10) == 3
    with pytest.raises(InvalidInput, match="one of add"):
        await registered.deploy(stack.client, "substract")


async def test_a_run_that_is_tried_again_is_still_its_deployments(client: Client) -> None:
    await client.deployments.put(deployment(concurrency={"limit": 1}, parameters={"a": 1}))
    run = await client.deployments.run("etl daily")
    await client.cancel(run)
    again = await client.get(await client.retry(run))
    assert (again.spec.deployment, again.keys, again.spec.parameters) == (
        "etl daily", ("deployment:etl%20daily",), {"a": 1},
    )  # fmt: skip


async def test_the_client_deploys_in_a_line(client: Client) -> None:
    stored = await client.deploy("etl", function="add", schedules=[{"cron": "0 9 * * *"}])
    assert (stored.name, stored.pool, stored.version) == ("etl", "default", 1)
    assert (await client.deploy("etl", function="add", schedules=[{"cron": "0 9 * * *"}])).version == 1
    with pytest.raises(InvalidInput, match="/when: is not known"):
        await client.deploy("etl", function="add", when="later")


def test_so_does_the_blocking_client(redis_url: str) -> None:
    with BlockingClient(redis_url) as blocking:
        blocking.pools.create("default")
        assert blocking.deploy("etl", function="add").version == 1
        run = blocking.deployments.run("etl", {"a": 1})
        assert blocking.get(run).spec.deployment == "etl"
