"""Functions and entrypoints that tell which trace they belong to: `traced:functions`, `traced.py:name`."""

import os
import sys
from typing import Any

from dispatcher import context
from workers import Functions

functions = Functions()


def span_here() -> str | None:
    """The current span as OpenTelemetry's own API tells it; None without it."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}-{found.span_id:016x}" if found.is_valid else None


def told() -> dict[str, Any]:
    """What a run's code finds: its context, its environment, the current span."""
    return {
        "context": context.traceparent, "environment": os.environ.get("TRACEPARENT"), "span": span_here(),
        "attempt": context.attempt, "run": context.run_id,
    }  # fmt: skip


@functions.register
async def tells() -> dict[str, Any]:
    return told()


@functions.register
def tells_in_thread() -> dict[str, Any]:
    return told()


@functions.register
async def fails_at_first() -> dict[str, Any]:
    if context.attempt == 1:
        raise ValueError("no such luck")
    return told()


@functions.register
async def fails() -> None:
    raise ValueError("no such luck")


@functions.register
async def parent(own: str | None = None) -> list[Any]:
    """Its own trace, then those of children: published, published in plain code's way, mapped, and with `own`."""
    options = {} if own is None else {"traceparent": own}
    child = await context.result(await context.publish("tells", **options))
    (mapped,) = await context.map("tells_in_thread", [{}], **options)
    return [told(), child, mapped]


@functions.register
def blocking_parent() -> list[Any]:
    return [told(), context.blocking.result(context.blocking.publish("tells"))]


def entrypoint() -> dict[str, Any]:
    return told()


def traced_entrypoint() -> dict[str, Any]:
    """As code that uses OpenTelemetry: it imports it with its own modules."""
    return told()


async def parent_entrypoint(folder: str) -> list[Any]:
    run = await context.publish(None, entrypoint="traced.py:entrypoint", job_variables={"working_dir": folder})
    return [told(), await context.result(run)]
