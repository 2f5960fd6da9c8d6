"""Each service does all that it does with the user of its role, and is refused nothing."""

from collections.abc import AsyncIterator

import pytest
from redis.exceptions import NoPermissionError

from dispatcher import Client, RetryPolicy, RunNotFound
from dispatcher.access import ROLES
from dispatcher.clock import SystemClock
from dispatcher.deployments import read_deployment
from dispatcher.doctor import Severity, examine
from dispatcher.errors import CredentialsRefused
from dispatcher.store import Store
from dispatcher.store.inspection import Inspection
from dispatcher.store.snapshots import ServerSnapshots
from tests.support.access import Access
from tests.support.stack import Stack, running
from tests.support.waiting import wait_until
from workers import Functions


@pytest.fixture
async def stack(access: Access) -> AsyncIterator[Stack]:
    """A pool, made by the operator, and a dispatcher, a scheduler and a worker that log in as such."""
    async with running(access.url("operator")) as started:
        await started.client.intake.publishers.add("web")
        await started.dispatcher(redis_url=access.url("dispatcher"))
        await started.scheduler(redis_url=access.url("scheduler"))
        await started.worker(functions(), url=access.url("worker"))
        yield started


def functions() -> Functions:
    known = Functions()

    @known.register
    async def greet(name: str = "world") -> str:
        return f"hello, {name}"

    @known.register
    async def family() -> list[str]:
        from dispatcher import context

        context.logger.info("it has begun")
        context.progress(0.5, "half")
        return await context.map("greet", [{"name": "a"}, {"name": "b"}])

    @known.register
    async def fail() -> None:
        raise ValueError("not today")

    return known


async def is_over(client: Client, run: str, state: str) -> bool:
    try:
        return (await client.get(run)).state.value == state
    except RunNotFound:
        return False  # no dispatcher has read it yet


async def test_a_trusted_publisher_does_all_that_a_client_does(access: Access, stack: Stack):
    async with Client(access.url("client")) as client:
        assert await client.check() == ["no append-only file: a restart of the server loses runs; set `appendonly yes`"]
        runs = [await client.publish("greet", {"name": name}, keys=["tenant:a"]) for name in "abc"]
        runs.append(await client.publish("greet", delay=0.05))
        results = [await client.result(run, 20) for run in runs]
        assert results == ["hello, a", "hello, b", "hello, c", "hello, world"]
        assert await client.result(await client.publish("family"), 20) == ["hello, a", "hello, b"]
        failing = await client.publish("fail", retry=RetryPolicy(1, delay=0.05))
        await client.cancel((await client.publish("greet", delay=60)).id)
        await wait_until(lambda: is_over(client, failing.id, "failed"), description="it has failed", timeout=20)
        assert [run.id for run in await client.dead.list()] == [failing.id]
        await client.limits.set("tenant:*", 1)
        assert [pool.name for pool in await client.pools.list()] == ["default"]
        assert [line.text for line in [line async for line in client.logs(runs[0].id)]] == []
    assert access.refusals() == set()


async def test_a_publisher_is_taken_in_and_answered(access: Access, stack: Stack):
    document = '{"function": "greet", "id": "0123456789abcdef"}'
    with access.client("web") as web:
        web.xadd("sluice:{default}:publish:web", {"run": document, "reply": "web-1"})
        answers = await wait_until(
            lambda: len((web.xread({"sluice:{default}:reply:web-1": "0"}) or [[0, []]])[0][1]) == 2 or None,
            description="it is told that the run was accepted, and how it ended",
            timeout=20,
        )
    assert answers
    assert access.refusals() == set()


async def test_deployments_and_schedules_fire_and_move(access: Access, stack: Stack):
    operator = stack.client
    await operator.pools.create("other")
    document = {"name": "d", "pool": "default", "function": "greet", "schedules": [{"interval": 1, "id": "s"}]}
    await operator.deployments.put(read_deployment(document), expect=0)
    async with Client(access.url("client")) as client:
        assert (await client.deployments.get("d")).pool == "default"
        run = await client.deployments.run("d")
        assert await client.result(run, 20) == "hello, world"

    async def has_fired() -> bool:
        return len(await operator.list(limit=10)) > 1

    await wait_until(has_fired, description="the scheduler has fired it", timeout=20)
    await operator.deployments.move("d", "other")
    await operator.deployments.delete("d")
    assert access.refusals() == set()


async def test_a_reader_sees_everything_and_changes_nothing(access: Access, stack: Stack):
    run = await stack.client.publish("family")
    await stack.client.result(run, 20)
    async with Client(access.url("reader")) as reader:
        assert (await reader.get(run.id)).state.value == "completed"
        assert "it has begun" in [line.text async for line in reader.logs(run.id)]
        assert len(await reader.list(limit=10)) == 3
        assert [pool.name for pool in await reader.pools.list()] == ["default"]
        assert [queue.name for queue in await reader.queues.list()] == ["default"]
        assert len(await reader.workers.list()) == 1
        assert await reader.limits.list() == []
        assert await reader.deployments.list() == []
        assert (await reader.pools.autoscale("default")).desired is not None
        snapshots = ServerSnapshots(access.url("reader"), SystemClock())
        assert [pool.name for pool in snapshots.read().pools] == ["default"]
        snapshots.close()
        assert access.refusals() == set()
        for change in (
            reader.publish("greet"), reader.cancel(run.id), reader.pools.pause("default"), reader.limits.set("a:b", 1),
        ):  # fmt: skip
            with pytest.raises(CredentialsRefused):
                await change


async def test_the_doctor_finds_nothing_to_say_about_users(access: Access, stack: Stack):
    async with Store(access.url("operator")) as store:
        found = await examine(store, SystemClock(), 250)
    assert [finding for finding in found if finding.severity is Severity.ERROR] == []
    said = {finding.check: finding for finding in found}
    assert said["permissions"].severity is Severity.OK
    assert said["default-user"].severity is Severity.OK
    assert access.refusals() == set()


async def test_a_doctor_that_may_not_look_says_who_may(access: Access, stack: Stack):
    async with Store(access.url("worker")) as store:
        said = {finding.check: finding for finding in await examine(store, SystemClock(), 250)}
    assert "operator" in said["permissions"].remedy or "SCAN" in said["permissions"].finding.upper()


@pytest.mark.parametrize("user", [role for role in ROLES if role != "reader"])
async def test_a_role_that_calls_scripts_may_call_all_that_they_call(access: Access, user: str):
    """A refusal in the middle of a script would leave half of its effect."""
    async with Store(access.url("admin")) as store:
        assert await Inspection(store.link).refused_commands("default") == []
    async with Store(access.url(user)) as store:  # the server knows the script that asks by now
        refused = await Inspection(store.link).refused_commands("default")
    assert refused == ([] if user in {"operator", "dispatcher"} else ["SCAN"])  # for the doctor and the audit


async def test_a_user_whose_pool_it_is_not_is_refused_before_anything_is_written(access: Access, stack: Stack):
    await stack.client.pools.create("etl")
    async with Client(access.url("client"), pool="etl") as client:
        with pytest.raises(CredentialsRefused, match="permission"):
            await client.publish("greet")
    with access.client("client") as client, pytest.raises(NoPermissionError):
        client.hgetall("sluice:{etl}")
    assert (await stack.client.pools.get("etl")).queued == 0
