"""The W3C trace context that travels with a run, and whether OpenTelemetry is at work here.

Nothing is imported for it: whoever sets OpenTelemetry up has imported it before. Without it, every question here costs
one look into a dict, and the context travels all the same. Spans are in spans.py.
"""

import re
import sys
from typing import TYPE_CHECKING

from .errors import InvalidInput

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

PATTERN = "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
_VALID = re.compile(r"(?!ff|.{3}0{32}|.{36}0{16})[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_API = "opentelemetry.trace"


def _is_loaded() -> bool:
    """Whether somebody has imported the API: redis-py does where it is installed."""
    return _API in sys.modules


def is_on() -> bool:
    """Whether OpenTelemetry is at work here: a provider of tracers was set, or there is a current span."""
    if not _is_loaded():
        return False
    from opentelemetry import trace  # noqa: PLC0415 - imported by others, see above

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return True
    return trace.get_current_span() is not trace.INVALID_SPAN


def check_traceparent(text: str) -> str:
    """The same text. Raises InvalidInput for what is no `traceparent` of W3C's trace context."""
    if not isinstance(text, str) or not _VALID.fullmatch(text):
        raise InvalidInput(
            f"{str(text)[:100]!r} is no traceparent: `00-TRACE-SPAN-01`, 32 and 16 of 0-9 and a-f, neither all zeros"
        )
    return text


def current_traceparent() -> str | None:
    """The context of the span that is current here, None when there is none."""
    if not _is_loaded():
        return None
    from opentelemetry import trace  # noqa: PLC0415 - see is_on

    return traceparent_of(trace.get_current_span().get_span_context())


def traceparent_of(context: "SpanContext") -> str | None:
    """A span's context as it travels; None when nobody records the span, nor those around it."""
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}"


def here(published: str | None) -> str | None:
    """What a run's code hands on: the current span's context, else the one that the run was published with."""
    return current_traceparent() or (published if isinstance(published, str) else None)


def trace_environment(published: str | None) -> dict[str, str]:
    """The variables by which a run's process knows its trace; call it where the run is started, in its own task."""
    found = here(published)
    return {"TRACEPARENT": found} if found else {}


def remote_context(traceparent: str | None) -> "SpanContext | None":
    """The span that a `traceparent` speaks of; None without one, and for what is none. Imports the API."""
    match = _VALID.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if match is None:
        return None
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415 - see is_on

    trace_id, span_id, flags = (int(digits, 16) for digits in match.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def enter(traceparent: str | None) -> None:
    """Make that span the current one of this task or thread: what is begun in it belongs to it, also in children."""
    if not _is_loaded() or (span_context := remote_context(traceparent)) is None:
        return
    from opentelemetry import context, trace  # noqa: PLC0415 - see is_on

    context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span_context)))
