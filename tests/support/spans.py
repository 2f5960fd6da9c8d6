"""OpenTelemetry's own SDK with an exporter that keeps what it is given."""

from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def context_of(span: Any) -> str:
    """A span's context as it travels."""
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"


class Spans:
    """What has ended. `provider` makes tracers for the tests themselves."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("tests")

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of that name, in the order of their ends."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only one of that name."""
        (span,) = self.named(name)
        return span

    def of_run(self, run: Any) -> ReadableSpan:
        """The only span that says it executed this run."""
        (span,) = self.all_of_run(run)
        return span

    def all_of_run(self, run: Any) -> list[ReadableSpan]:
        """All spans that say they executed this run."""
        return [
            span
            for span in self._exporter.get_finished_spans()
            if span.kind is trace.SpanKind.CONSUMER and span.attributes["sluice.run_id"] == run.id
        ]
