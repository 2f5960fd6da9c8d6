"""Dispatchers and operators load scripts; whoever may not waits until one did, and says so when none does."""

import anyio
import pytest

from dispatcher import Client, scripts
from dispatcher.errors import CredentialsRefused, ScriptsMissing
from dispatcher.store import Store
from tests.support.access import Access
from tests.support.stack import running
from tests.support.waiting import wait_until
from workers import Functions, FunctionWorker, Worker, WorkerOptions


def greeting() -> Functions:
    functions = Functions()

    @functions.register
    async def greet(name: str = "world") -> str:
        return f"hello, {name}"

    return functions


def known(access: Access) -> int:
    return sum(access.admin.script_exists(*(scripts.load(name).sha for name in scripts.names())))


async def test_a_dispatcher_loads_all_scripts_before_it_says_that_it_serves(access: Access):
    async with running(access.url("operator")) as stack:
        access.admin.script_flush()
        await stack.dispatcher(redis_url=access.url("dispatcher"))
        assert known(access) == len(scripts.names())


@pytest.mark.fault(19)
async def test_work_goes_on_when_the_server_forgets_its_scripts(access: Access):
    async with running(access.url("operator")) as stack:
        await stack.dispatcher(redis_url=access.url("dispatcher"))
        worker = await stack.worker(greeting(), url=access.url("worker"))
        incarnation = worker.id
        async with Client(access.url("client")) as client:
            for _ in range(3):
                access.admin.script_flush()
                assert await client.result(await client.publish("greet"), 20) == "hello, world"
        assert worker.id == incarnation, "it did not lose its lease"
        await wait_until(lambda: known(access) == len(scripts.names()), description="all scripts are known again")


async def test_without_a_dispatcher_the_error_says_what_to_do(access: Access):
    async with Client(access.url("operator")) as operator, Client(access.url("client")) as client:
        await operator.pools.create("default")
        access.admin.script_flush()
        with pytest.raises(ScriptsMissing, match="start a dispatcher of the same release"):
            await client.publish("greet")
        assert (await operator.pools.get("default")).queued == 0
        await operator.pools.pause("default")  # an operator loads what it calls
        assert known(access) == 1


async def test_a_worker_waits_for_a_dispatcher_of_its_release(access: Access):
    async with running(access.url("operator")) as stack, anyio.create_task_group() as group:
        access.admin.script_flush()
        worker = Worker(access.url("worker"), FunctionWorker(greeting()), WorkerOptions(lease=5))

        async def work() -> None:
            async with worker:
                await worker.run()

        group.start_soon(work)
        await wait_until(access.refusals, description="it asked, and may not load", timeout=20)
        await stack.dispatcher(redis_url=access.url("dispatcher"))
        run = await stack.client.publish("greet")
        assert await stack.client.result(run, 20) == "hello, world"
        worker.drain()


async def test_a_dispatcher_that_may_not_load_says_so_once_and_serves(
    access: Access, capsys: pytest.CaptureFixture[str]
):
    async with running(access.url("operator")) as stack:
        await stack.client._store.link.load_scripts()
        await stack.dispatcher(redis_url=access.url("scheduler"))
        await wait_until(
            lambda: access.admin.hget("sluice:{default}:watch", "tick"),
            description="it looks after the pool",
            timeout=20,
        )
        await wait_until(lambda: looks(access) > 1, description="it has looked again", timeout=20)
    assert capsys.readouterr().err.count("scripts.refused") == 1


def looks(access: Access) -> int:
    """How often somebody asked for scripts who may not."""
    return sum(int(entry["count"]) for entry in access.admin.acl_log(count=128) if "exists" in entry["object"])


async def test_a_reader_that_may_not_write_is_told_so_and_not_kept_waiting(access: Access):
    async with running(access.url("operator")) as stack:
        await stack.dispatcher(redis_url=access.url("dispatcher"))
        async with Store(access.url("reader")) as store:
            with pytest.raises(CredentialsRefused):
                await store.care.tick("default")
