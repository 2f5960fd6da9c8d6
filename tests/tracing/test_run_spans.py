"""Spans of runs: what they link to or go on in, what they say, and that the run's code is inside, wherever it runs."""

import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from dispatcher import Client, Published, RunFailed, codec
from dispatcher.ids import new_run_id
from dispatcher.log import _Configuration, configure_logging, get_logger
from dispatcher.models import HandOff, RunSpec
from dispatcher.spans import begin
from dispatcher.store import WireRun
from tests.support.programs.traced import functions
from tests.support.spans import Spans, context_of
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until
from workers import Functions, FunctionWorker, Outcome, ProcessWorker, WorkerType

FOLDER = {"working_dir": str(PROGRAMS)}


def inside(span: Any) -> str:
    """A span as the code inside it tells it (programs/traced.py)."""
    return context_of(span)[3:-3]


async def test_a_run_is_a_trace_of_its_own_that_links_to_its_publish(stack: Stack, spans: Spans):
    with spans.tracer.start_as_current_span("whoever started the worker"):
        worker = await stack.worker(functions)
    for name in ("tells", "tells_in_thread"):
        with spans.tracer.start_as_current_span("order"):
            run = await stack.client.publish(name, name="for people")
        told = await stack.client.result(run, 20)
        span = spans.of_run(run)
        publish = spans.named("publish default/default")[-1]
        assert (span.name, span.parent) == (f"run {name}", None)
        assert [link.context.span_id for link in span.links] == [publish.context.span_id]
        assert span.context.trace_id != publish.context.trace_id
        assert (told["span"], told["context"]) == (inside(span), context_of(span))
        assert dict(span.attributes) == {
            "messaging.system": "sluice", "messaging.operation.name": "run", "messaging.operation.type": "process",
            "messaging.destination.name": "default", "messaging.message.id": run.id, "messaging.client.id": worker.id,
            "sluice.run_id": run.id, "sluice.pool": "default", "sluice.worker": worker.id, "sluice.attempt": 1,
            "sluice.name": "for people", "sluice.outcome": "completed",
        }  # fmt: skip
        assert span.status.status_code is trace.StatusCode.UNSET


async def test_a_worker_may_go_on_in_the_publishers_trace(stack: Stack, spans: Spans):
    await stack.worker(functions, trace_parenting="child", queues=("critical",))
    run = await stack.client.publish("tells", queue="critical")
    told = await stack.client.result(run, 20)
    span, publish = spans.of_run(run), spans.one("publish default/critical")
    assert (span.parent.span_id, span.context.trace_id) == (publish.context.span_id, publish.context.trace_id)
    assert not span.links
    assert told["span"] == inside(span)
    assert span.attributes["sluice.queue"] == "critical"
    assert span.attributes["messaging.destination.name"] == "default/critical"


async def test_how_long_it_waited_stands_in_the_publishers_trace(stack: Stack, spans: Spans):
    run = await stack.client.publish("tells")
    await stack.worker(functions)
    await stack.client.result(run, 20)
    admit, publish = spans.one("admit"), spans.one("publish default/default")
    assert (admit.parent.span_id, admit.kind) == (publish.context.span_id, trace.SpanKind.INTERNAL)
    found = await stack.client.get(run)
    assert admit.end_time == 1_000_000 * found.claim_token
    assert admit.start_time == 1_000_000 * int(run.id[:12], 16)


async def test_a_failure_is_told_and_each_attempt_has_its_span(stack: Stack, spans: Spans):
    await stack.scheduler()
    await stack.worker(functions)
    run = await stack.client.publish("fails_at_first", retries=1)
    await stack.client.result(run, 20)
    first, second = spans.all_of_run(run)
    assert [span.attributes["sluice.attempt"] for span in (first, second)] == [1, 2]
    assert [span.attributes["sluice.outcome"] for span in (first, second)] == ["retry", "completed"]
    assert first.links[0].context == second.links[0].context
    assert len(spans.named("admit")) == 1, "nobody knows how long a retry waited"
    assert first.status.status_code is trace.StatusCode.ERROR
    assert first.status.description == "ValueError: no such luck"
    assert first.attributes["error.type"] == "ValueError"
    (event,) = first.events
    assert "no such luck" in event.attributes["exception.stacktrace"]
    assert second.status.status_code is trace.StatusCode.UNSET


async def test_what_is_cancelled_or_not_registered_says_so(stack: Stack, spans: Spans):
    local = Functions()
    began = anyio.Event()

    @local.register
    async def sleeps() -> None:
        began.set()
        await anyio.sleep_forever()

    await stack.worker(local)
    run = await stack.client.publish("sleeps")
    await began.wait()
    await stack.client.cancel(run)
    (span,) = await wait_until(lambda: spans.all_of_run(run), description="its span has ended")
    assert (span.attributes["sluice.outcome"], span.status.status_code) == ("cancelled", trace.StatusCode.UNSET)
    run = await stack.client.publish("missing")
    with pytest.raises(RunFailed):
        await stack.client.result(run, 20)
    assert spans.of_run(run).attributes["error.type"] == "not_registered"


async def test_children_are_published_below_their_parents_span(stack: Stack, spans: Spans):
    await stack.worker(functions)
    for name, count in (("parent", 2), ("blocking_parent", 1)):
        run = await stack.client.publish(name)
        told = await stack.client.result(run, 20)
        span = spans.of_run(run)
        published = [each for each in spans.named("publish default/default") if each.parent]
        below = [each for each in published if each.parent.span_id == span.context.span_id]
        assert len(below) == count
        links = [
            next(found for found in spans.all_of_run(_Run(each["run"]))).links[0].context.span_id for each in told[1:]
        ]
        assert links == [each.context.span_id for each in below]


class _Run:
    def __init__(self, run_id: str) -> None:
        self.id = run_id


async def test_a_run_without_a_context_is_a_trace_of_its_own(stack: Stack, spans: Spans, use: Any):
    await stack.worker(functions)
    run = await _published_elsewhere(stack)
    await stack.client.result(run, 20)
    span = spans.of_run(run)
    assert (span.parent, span.links) == (None, ())
    assert spans.named("admit") == []


async def _published_elsewhere(stack: Stack) -> Any:
    """As by a process in which OpenTelemetry is not at work."""
    spec = codec.encode_plain_spec("tells", {})
    wire = WireRun(new_run_id(), "default|", b"", spec)
    await stack.client._store.runs.publish("default", [wire])
    return Published(wire.id, "default", is_new=True)


async def test_processes_are_given_the_span_of_their_run(stack: Stack, spans: Spans):
    await stack.client.pools.create("processes", type="process")
    await stack.worker(ProcessWorker(), pool="processes", limit=4)
    async with Client(stack.url, pool="processes") as client:
        command = [sys.executable, "-c", "import os; print(os.environ['TRACEPARENT'])"]
        run = await client.publish(command=command)
        await client.result(run, 30)
        span = spans.of_run(run)
        assert span.name.startswith("run python")
        assert [line.text async for line in client.logs(run)] == [context_of(span)]
        run = await client.publish(entrypoint="traced.py:entrypoint", job_variables=FOLDER)
        told = await client.result(run, 30)
        span = spans.of_run(run)
        assert (span.name, told["environment"]) == ("run traced.py:entrypoint", context_of(span))
        assert (told["context"], told["span"]) == (context_of(span), inside(span))
        run = await client.publish(
            None, {"folder": str(PROGRAMS)}, entrypoint="traced.py:parent_entrypoint", job_variables=FOLDER
        )
        _, child = await client.result(run, 30)
        (of_child,) = spans.all_of_run(_Run(child["run"]))
        assert of_child.links[0].context.span_id == spans.of_run(run).context.span_id
        run = await client.publish(command="exit 3", shell=True)
        with pytest.raises(RunFailed):
            await client.result(run, 30)
        span = spans.of_run(run)
        assert (span.name, span.attributes["error.type"]) == ("run script", "exit_code")


async def test_a_run_in_a_child_process_is_inside_its_span(spans: Spans):
    kind = FunctionWorker.for_app("traced:functions", str(PROGRAMS))
    spec = codec.encode_spec(RunSpec(function="tells", traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"))
    with begin("run tells", "CONSUMER", {}) as span:  # as the worker does around its type
        outcome = await kind.watch(HandOff(1, "7", 1, 1, "0" * 32, spec), "")
    told = codec.unpack(outcome.result)
    assert (told["context"], told["environment"]) == (span.traceparent, span.traceparent)
    assert told["span"] == span.traceparent[3:-3]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, as JSON."""
    for name in ("level", "style", "stream"):
        monkeypatch.setattr(_Configuration, name, getattr(_Configuration, name))
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    yield stream
    structlog.reset_defaults()


async def test_events_inside_a_run_name_its_trace(stack: Stack, spans: Spans, said: io.StringIO):
    local = Functions()
    log = get_logger("test")

    @local.register
    async def logs() -> None:
        log.warning("thing.happened")

    await stack.worker(local)
    run = await stack.client.publish("logs")
    await stack.client.result(run, 20)
    (event,) = [line for line in map(json.loads, said.getvalue().splitlines()) if line["event"] == "thing.happened"]
    assert f"{event['trace_id']}-{event['span_id']}" == inside(spans.of_run(run))


async def test_no_run_fails_for_want_of_its_span(stack: Stack, use: Any):
    class Broken(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.kind is trace.SpanKind.CONSUMER:
                raise RuntimeError("no disk")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    use(provider)
    await stack.worker(functions)
    run = await stack.client.publish("tells")
    told = await stack.client.result(run, 20)
    assert told["context"] == (await stack.client.get(run)).spec.traceparent


async def test_a_delayed_run_waits_from_when_it_was_due(stack: Stack, spans: Spans):
    await stack.scheduler()
    await stack.worker(functions)
    run = await stack.client.publish("tells", delay=0.2)
    await stack.client.result(run, 20)
    due = (await stack.client.get(run)).spec.at
    admit = spans.one("admit")
    assert admit.start_time == 1_000_000 * due
    assert datetime.fromtimestamp(admit.end_time / 1e9, UTC) >= datetime.fromtimestamp(due / 1e3, UTC)


class Box(WorkerType):
    """Infrastructure that outlives its worker, until `opened`."""

    type = "boxes"
    site = "here"

    def __init__(self, opened: anyio.Event) -> None:
        self.opened = opened
        self.watches = anyio.Event()

    async def start(self, run: HandOff) -> str:
        return "box"

    async def adopt(self, run: HandOff, infrastructure: str) -> bool:
        return True

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:
        self.watches.set()
        await self.opened.wait()
        return Outcome("completed", "", b"\xc0")


async def test_a_run_that_is_adopted_has_a_span_for_each_of_its_workers(stack: Stack, spans: Spans):
    await stack.client.pools.create("boxes", type="boxes")
    await stack.dispatcher()
    opened = anyio.Event()
    first, second = Box(opened), Box(opened)
    worker = await stack.worker(first, pool="boxes", grace=0)
    run = await stack.client.publish("f", pool="boxes")
    await wait_until(first.watches.is_set, description="it runs")
    worker.stop()
    (released,) = await wait_until(lambda: spans.all_of_run(run), description="its first span has ended")
    await stack.worker(second, pool="boxes")
    await wait_until(second.watches.is_set, description="it is adopted", timeout=20)
    opened.set()
    await stack.client.result(run, 20, pool="boxes")
    _, adopted = spans.all_of_run(run)
    assert [span.attributes["sluice.outcome"] for span in (released, adopted)] == ["released", "completed"]
    assert released.links[0].context == adopted.links[0].context
    assert len(spans.named("admit")) == 1
