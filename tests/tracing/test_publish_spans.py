"""Spans of publishes: what they say, what they are below, and that the run carries their context."""

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from dispatcher import BlockingClient, InvalidInput, PoolNotFound, Publish
from dispatcher.deployments import read_deployment
from tests.support.spans import Spans, context_of
from tests.support.stack import Stack
from tests.support.waiting import wait_until

ONE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def carried(stack: Stack, run: Any) -> str | None:
    return (await stack.client.get(run)).spec.traceparent


async def test_a_publish_is_a_span_below_the_current_one_and_its_run_carries_it(stack: Stack, spans: Spans):
    with spans.tracer.start_as_current_span("order") as order:
        run = await stack.client.publish("f", queue="critical")
    span = spans.one("publish default/critical")
    assert span.kind is trace.SpanKind.PRODUCER
    assert span.parent.span_id == order.get_span_context().span_id
    assert await carried(stack, run) == context_of(span)
    assert dict(span.attributes) == {
        "messaging.system": "sluice", "messaging.operation.name": "publish", "messaging.operation.type": "send",
        "messaging.destination.name": "default/critical", "messaging.message.id": run.id,
        "sluice.pool": "default", "sluice.queue": "critical", "sluice.run_id": run.id,
    }  # fmt: skip
    assert span.status.status_code is trace.StatusCode.UNSET


async def test_without_a_current_span_a_publish_begins_a_trace(stack: Stack, spans: Spans):
    first, second = await stack.client.publish("f"), await stack.client.publish("f")
    spans_of_both = spans.named("publish default/default")
    assert [span.parent for span in spans_of_both] == [None, None]
    assert [context_of(span) for span in spans_of_both] == [await carried(stack, run) for run in (first, second)]
    assert len({span.context.trace_id for span in spans_of_both}) == 2


async def test_a_context_that_is_given_travels_as_it_is(stack: Stack, spans: Spans):
    with spans.tracer.start_as_current_span("order"):
        run = await stack.client.publish("f", traceparent=ONE)
    assert await carried(stack, run) == ONE
    assert context_of(spans.one("publish default/default")).split("-")[1] == ONE.split("-")[1]


async def test_many_at_once_are_one_span(stack: Stack, spans: Spans):
    runs = await stack.client.publish_many(
        ["f", Publish("f", options={"queue": "b"}), Publish("f", options={"traceparent": ONE})]
    )
    span = spans.one("publish default")
    assert span.attributes["messaging.batch.message_count"] == 3
    assert [await carried(stack, run) for run in runs] == [context_of(span), context_of(span), ONE]


async def test_a_publish_that_is_refused_says_so(stack: Stack, spans: Spans):
    with pytest.raises(InvalidInput):
        await stack.client.publish("f", retries=-1)
    with pytest.raises(PoolNotFound):
        await stack.client.publish("f", pool="nowhere")
    refused, nowhere = spans.one("publish default/default"), spans.one("publish nowhere/default")
    assert [span.attributes["error.type"] for span in (refused, nowhere)] == ["InvalidInput", "PoolNotFound"]
    assert {span.status.status_code for span in (refused, nowhere)} == {trace.StatusCode.ERROR}
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_blocking_code_publishes_below_its_own_span(stack: Stack, spans: Spans):
    def publish() -> Any:
        with BlockingClient(stack.url) as client, spans.tracer.start_as_current_span("order") as order:
            return client.publish("f"), order.get_span_context().span_id

    run, above = await anyio.to_thread.run_sync(publish)
    span = spans.one("publish default/default")
    assert span.parent.span_id == above
    assert await carried(stack, run) == context_of(span)


async def test_runs_of_a_deployment_have_spans_too(stack: Stack, spans: Spans):
    await stack.client.deployments.put(
        read_deployment({"name": "etl", "function": "f", "queue": "nightly", "schedules": [{"interval": 3600}]})
    )
    run = await stack.client.deployments.run("etl")
    assert await carried(stack, run) == context_of(spans.one("publish default/nightly"))
    (schedule,) = (await stack.client.deployments.get("etl")).document.schedules
    instants = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (1, 2)]
    made_good = await stack.client.deployments.backfill("etl", schedule.id, instants)
    _, backfill = spans.named("publish default/nightly")
    assert [await carried(stack, run) for run in made_good] == [context_of(backfill)] * 2
    assert backfill.attributes["messaging.batch.message_count"] == 2


async def test_each_fire_of_a_schedule_begins_a_trace_once_however_many_schedulers_there_are(
    stack: Stack, spans: Spans
):
    with spans.tracer.start_as_current_span("whoever started the schedulers"):
        for _ in range(2):
            await stack.scheduler()
    await stack.client.deployments.put(
        read_deployment({"name": "tick", "function": "f", "schedules": [{"id": "s", "interval": 1}]})
    )

    async def runs() -> list[Any]:
        found = await stack.client.list()
        return found if len(found) >= 2 else []

    found = await wait_until(runs, description="it has fired twice", timeout=30)
    for run in found[:2]:
        (span,) = await wait_until(
            lambda run=run: [
                span
                for span in spans.named("publish default/default")
                if span.attributes.get("sluice.run_id") == run.id
            ],
            description="its span has ended",
        )
        assert (context_of(span), span.parent) == (run.spec.traceparent, None)
        assert span.attributes["sluice.schedule"] == "s"
    assert len({run.spec.traceparent.split("-")[1] for run in found}) == len(found)


async def test_without_a_provider_the_context_of_a_current_span_travels_on(stack: Stack):
    """An application that hands contexts on, with OpenTelemetry's API and nothing else."""
    from dispatcher import tracing

    assert not tracing.is_on()
    above = tracing.remote_context(ONE)
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(above)))
    try:
        assert await carried(stack, await stack.client.publish("f")) == ONE
    finally:
        context.detach(token)
    assert await carried(stack, await stack.client.publish("f")) is None


async def test_what_is_not_sampled_is_not_sampled_further_on(stack: Stack, use: Any):
    use(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    found = await carried(stack, await stack.client.publish("f"))
    assert found is not None
    assert int(found[-2:], 16) & 1 == 0
