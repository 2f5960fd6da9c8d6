"""What operators do: services under `opentelemetry-instrument`, which send their spans to a collector by OTLP."""

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dispatcher import Client
from dispatcher.deployments import read_deployment
from tests.support.processes import Children
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until

BIN = Path(sys.executable).parent


class Collector:
    """Takes what exporters send, and keeps spans by the service that they are of."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.spans += [(names["service.name"], span) for scope in resource.scope_spans for span in scope.spans]

    def named(self, service: str, name: str) -> list[Any]:
        return [span for of, span in list(self.spans) if (of, span.name) == (service, name)]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    started = Collector()
    yield started
    started.close()


NIGHTLY = {
    "name": "nightly", "pool": "processes", "entrypoint": "traced.py:entrypoint",
    "job_variables": {"working_dir": str(PROGRAMS)}, "schedules": [{"interval": 1}],
}  # fmt: skip


def start(children: Children, collector: Collector, url: str, *words: str) -> None:
    """Start a service as an operator would; it is called by the first of these words."""
    environment = {
        "OTEL_SERVICE_NAME": words[0], "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "100", "SLUICE_REDIS_URL": url,
        "SLUICE_TRACE_PARENTING": "child",
    }  # fmt: skip
    children.start(BIN / "opentelemetry-instrument", BIN / "sluice", *words, env=environment)


@pytest.mark.slow
async def test_a_scheduled_run_can_be_followed_from_its_fire_into_its_process(
    stack: Stack, children: Children, collector: Collector
):
    await stack.client.pools.create("processes", type="process")
    start(children, collector, stack.url, "worker", "start", "--pool", "processes")
    start(children, collector, stack.url, "scheduler", "start")
    async with Client(stack.url, pool="processes") as client:
        await client.deployments.put(read_deployment(NIGHTLY))

        async def completed() -> list[Any]:
            return await client.list(states=["completed"])

        (run, *_) = await wait_until(completed, description="a run has completed", timeout=60)
    _, trace, span, _ = run.result["environment"].split("-")

    def spans() -> list[Any]:
        found = [*collector.named("scheduler", "publish processes/default"), *collector.named("worker", "admit")]
        found += collector.named("worker", "run nightly")
        return [each for each in found if each.trace_id.hex() == trace]

    publish, admit, executed = await wait_until(
        lambda: spans() if len(spans()) == 3 else [], description="its three spans have come", timeout=30
    )
    assert executed.span_id.hex() == span
    assert {admit.parent_span_id, executed.parent_span_id} == {publish.span_id}
    assert not publish.parent_span_id
