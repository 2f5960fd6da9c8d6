"""A trace context travels with its run. OpenTelemetry is not at work here; in test_without.py it cannot even be."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from dispatcher import BlockingClient, Client, InvalidInput, Publish, RunState, codec, tracing
from dispatcher.cli import main
from dispatcher.deployments import read_deployment
from dispatcher.models import HandOff, RunSpec
from tests.support.programs.traced import functions
from tests.support.stack import PROGRAMS, Stack
from workers import FunctionWorker, ProcessWorker

ONE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
ZERO_TRACE = f"00-{'0' * 32}-00f067aa0ba902b7-01"
ZERO_SPAN = f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACEPARENT", raising=False)
    assert not tracing.is_on()


async def test_a_function_knows_the_context_that_its_run_was_published_with(stack: Stack):
    await stack.worker(functions)
    for name in ("tells", "tells_in_thread"):
        run = await stack.client.publish(name, traceparent=ONE)
        assert (await stack.client.result(run, 20))["context"] == ONE
        assert (await stack.client.get(run)).spec.traceparent == ONE
        assert (await stack.client.result(await stack.client.publish(name), 20))["context"] is None


async def test_every_way_of_publishing_takes_it(stack: Stack, redis_url: str):
    client = stack.client
    one, none = await client.publish_many([Publish("f", options={"traceparent": ONE}), "f"])
    await client.deployments.put(read_deployment({"name": "etl", "function": "f"}))
    deployed = await client.deployments.run("etl", traceparent=ONE)

    def block() -> Any:
        with BlockingClient(redis_url) as blocking:
            return blocking.publish("f", traceparent=ONE)

    blocked = await anyio.to_thread.run_sync(block)
    found = [(await client.get(run)).spec.traceparent for run in (one, none, deployed, blocked)]
    assert found == [ONE, None, ONE, ONE]


@pytest.mark.parametrize(
    "text", ["", "x", ONE.upper(), ONE[:-1], f"{ONE}0", f"ff{ONE[2:]}", ZERO_TRACE, ZERO_SPAN, f"{ONE}\n", 7]
)
async def test_what_is_no_context_is_refused_and_publishes_nothing(stack: Stack, text: Any):
    with pytest.raises(InvalidInput, match="is no traceparent: "):
        await stack.client.publish("f", traceparent=text)
    with pytest.raises(InvalidInput, match="is no traceparent: "):
        await stack.client.publish_many(["f", Publish("f", options={"traceparent": text})])
    assert await stack.client.list() == []


async def test_each_attempt_has_the_same(stack: Stack):
    await stack.scheduler()
    await stack.worker(functions)
    run = await stack.client.publish("fails_at_first", traceparent=ONE, retries=1)
    told = await stack.client.result(run, 20)
    assert (told["context"], told["attempt"]) == (ONE, 2)
    failed = await stack.client.publish("fails", traceparent=ONE)
    with pytest.raises(Exception, match="no such luck"):
        await stack.client.result(failed, 20)
    again = await stack.client.retry(failed)
    assert (await stack.client.get(again)).spec.traceparent == ONE


async def test_children_get_that_of_their_parent_unless_they_are_given_another(stack: Stack):
    await stack.worker(functions)
    client = stack.client
    for name, count in (("parent", 3), ("blocking_parent", 2)):
        told = await client.result(await client.publish(name, traceparent=ONE), 20)
        assert [each["context"] for each in told] == [ONE] * count
    told = await client.result(await client.publish("parent", {"own": OTHER}, traceparent=ONE), 20)
    assert [each["context"] for each in told] == [ONE, OTHER, OTHER]
    told = await client.result(await client.publish("parent"), 20)
    assert [each["context"] for each in told] == [None, None, None]


async def test_a_run_in_a_child_process_has_it_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRACEPARENT", OTHER)  # the worker's own, which is not the run's
    kind = FunctionWorker.for_app("traced:functions", str(PROGRAMS))

    async def told(trace: str | None) -> Any:
        spec = codec.encode_spec(RunSpec(function="tells", traceparent=trace))
        return codec.unpack((await kind.watch(HandOff(1, "7", 1, 1, "0" * 32, spec), "")).result)

    found = await told(ONE)
    assert (found["context"], found["environment"]) == (ONE, ONE)
    found = await told(None)
    assert (found["context"], found["environment"]) == (None, None)


async def test_a_process_finds_it_in_its_environment(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TRACEPARENT", OTHER)
    await stack.client.pools.create("processes", type="process")
    await stack.worker(ProcessWorker(), pool="processes", limit=4)
    async with Client(stack.url, pool="processes") as client:
        code = "import os; print(os.environ.get('TRACEPARENT'))"

        async def said(**options: Any) -> str:
            run = await client.publish(**options)
            await client.result(run, 30)
            return " ".join([line.text async for line in client.logs(run)])

        command = [sys.executable, "-c", code]
        assert await said(command=command, traceparent=ONE) == ONE
        assert await said(command="echo ${TRACEPARENT:-None}", shell=True, traceparent=ONE) == ONE
        assert await said(command=command) == "None"
        own = {"env": {"TRACEPARENT": "mine"}}
        assert await said(command=command, traceparent=ONE, job_variables=own) == "mine"

        folder = {"working_dir": str(PROGRAMS)}
        run = await client.publish(entrypoint="traced.py:entrypoint", traceparent=ONE, job_variables=folder)
        told = await client.result(run, 30)
        assert (told["context"], told["environment"]) == (ONE, ONE)
        run = await client.publish(entrypoint="traced.py:entrypoint", job_variables=folder)
        told = await client.result(run, 30)
        assert (told["context"], told["environment"]) == (None, None)
        run = await client.publish(
            None, {"folder": str(PROGRAMS)}, entrypoint="traced.py:parent_entrypoint", traceparent=ONE,
            job_variables=folder,
        )  # fmt: skip
        assert [each["environment"] for each in await client.result(run, 30)] == [ONE, ONE]


async def test_the_command_line_takes_it_from_an_option_or_its_environment(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("SLUICE_REDIS_URL", stack.url)
    monkeypatch.chdir(tmp_path)
    await stack.client.deployments.put(read_deployment({"name": "etl", "function": "f"}))

    async def sluice(*words: str) -> tuple[int, str]:
        def run() -> int:
            with pytest.raises(SystemExit) as end:
                main(words)
            return int(end.value.code or 0)

        code = await anyio.to_thread.run_sync(run)
        return code, capsys.readouterr().out.strip()

    async def published(*words: str) -> str | None:
        code, run = await sluice(*words)
        assert code == 0
        return (await stack.client.get(run)).spec.traceparent

    assert await published("run", "publish", "f", "--traceparent", ONE) == ONE
    assert await published("deployment", "run", "etl", "--traceparent", ONE) == ONE
    assert await published("run", "publish", "f") is None
    monkeypatch.setenv("TRACEPARENT", ONE)
    assert await published("run", "publish", "f") == ONE
    assert await published("run", "publish", "f", "--traceparent", OTHER) == OTHER
    assert await published("deployment", "run", "etl") == ONE
    monkeypatch.setenv("TRACEPARENT", "")
    assert await published("run", "publish", "f") is None
    code, _ = await sluice("run", "publish", "f", "--traceparent", "x")
    assert code == 2
    (run, *_) = await stack.client.list(states=[RunState.QUEUED])
    _, shown = await sluice("run", "inspect", run.id, "-o", "json")
    assert json.loads(shown)["spec"]["traceparent"] in (ONE, OTHER, None)
