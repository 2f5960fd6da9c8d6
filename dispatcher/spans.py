"""Spans by OpenTelemetry's API. Only where `tracing.is_on`: nothing here is called otherwise.

Names and attributes are those of OpenTelemetry's conventions for messaging, and `sluice.*`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

from . import tracing

if TYPE_CHECKING:
    from concurrent.futures import Future
    from contextvars import Token
    from types import TracebackType

    from opentelemetry import trace as api
    from opentelemetry.context import Context

Kind = Literal["PRODUCER", "CONSUMER", "INTERNAL"]
Facts = Mapping[str, str | int | bool]


class Span:
    """A span that was begun. As a context manager it is current inside, and ends with what is raised there."""

    def __init__(self, span: "api.Span") -> None:
        self._span = span
        self._token: Token[Context] | None = None
        self.traceparent = tracing.traceparent_of(span.get_span_context())

    @property
    def is_recording(self) -> bool:
        """Whether anybody is told of it."""
        return self._span.is_recording()

    def carried(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a publish with its context, unless they have one of their own."""
        return {**options, "traceparent": options.get("traceparent") or self.traceparent}

    def say(self, facts: Facts) -> None:
        """Add attributes."""
        self._span.set_attributes(facts)

    def fail(self, kind: str, text: str, trace: str = "") -> None:
        """It failed: of which kind, what was said, the traceback."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - imported by others, see tracing.py

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR, text))
        said = {"exception.type": kind, "exception.message": text, "exception.stacktrace": trace}
        self._span.add_event("exception", {name: value for name, value in said.items() if value})

    def end(self, at_ms: int | None = None) -> None:
        """It is over, now or at that time."""
        self._span.end(None if at_ms is None else 1_000_000 * at_ms)

    def end_of(self, future: "Future[Any]") -> None:
        """It is over with what that future gave; for `add_done_callback`."""
        error = None if future.cancelled() else future.exception()
        if error:
            self.fail(type(error).__name__, str(error))
        self.end()

    def enter(self) -> None:
        """Make it the current one of this task, to the task's end, and of what the task starts."""
        from opentelemetry import context, trace  # noqa: PLC0415 - see fail

        self._token = context.attach(trace.set_span_in_context(self._span))

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        from opentelemetry import context  # noqa: PLC0415 - see fail

        if error is not None:
            self.fail(type(error).__name__, str(error))
        if self._token is not None:
            context.detach(self._token)
        self.end()


def begin(
    name: str, kind: Kind, facts: Facts, *,
    parent: str | None = None, is_root: bool = False, link: str | None = None, at_ms: int | None = None,
) -> Span:  # fmt: skip
    """Begin a span, now or at that time: below `parent`, else the first of a new trace, else below the current one."""
    from opentelemetry import context, trace  # noqa: PLC0415 - see Span.fail

    above = tracing.remote_context(parent)
    around: Context | None = context.Context() if is_root else None
    if above:
        around = trace.set_span_in_context(trace.NonRecordingSpan(above), context.Context())
    linked = tracing.remote_context(link)
    span = _tracer(trace.get_tracer_provider()).start_span(
        name, around, trace.SpanKind[kind], {"messaging.system": "sluice", **facts},
        [trace.Link(linked)] if linked else None, None if at_ms is None else 1_000_000 * at_ms,
    )  # fmt: skip
    return Span(span)


def begin_publish(pool: str, runs: Sequence[Mapping[str, Any]], *, is_root: bool = False) -> Span:
    """The span of publishing runs with these options: below the context that a lone one was given, if it was."""
    queues = {str(options.get("queue") or "default") for options in runs}
    place = f"{pool}/{queues.pop()}" if len(queues) == 1 else pool
    facts: dict[str, str | int | bool] = {
        "messaging.operation.name": "publish", "messaging.operation.type": "send",
        "messaging.destination.name": place, "sluice.pool": pool,
    }  # fmt: skip
    if place != pool:
        facts["sluice.queue"] = place.removeprefix(f"{pool}/")
    if len(runs) != 1:
        facts["messaging.batch.message_count"] = len(runs)
    given = runs[0].get("traceparent") if len(runs) == 1 else None
    return begin(f"publish {place}", "PRODUCER", facts, parent=given, is_root=is_root)


def published(run_id: str) -> Facts:
    """What is known once a run has an id."""
    return {"messaging.message.id": run_id, "sluice.run_id": run_id}


@lru_cache(maxsize=4)
def _tracer(provider: "api.TracerProvider") -> "api.Tracer":
    return provider.get_tracer("sluice")
