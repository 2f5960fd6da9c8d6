"""/livez, /readyz and /metrics of a service, served by a thread so that a busy event loop still answers."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from prometheus_client.exposition import choose_encoder

from .errors import InvalidInput
from .metrics import REGISTRY

Check = Callable[[], bool]


def parse_address(address: str) -> tuple[str, int]:
    """HOST:PORT, or raise InvalidInput."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"{address!r} is no address to listen on: give HOST:PORT, e.g. 127.0.0.1:4301")
    return host.strip("[]") or "127.0.0.1", int(port)


class Probes:
    """Answers 200 or 503 by the checks given. Context manager; `port` is the one in use (0 picks a free one)."""

    def __init__(self, address: str, *, live: Check, ready: Check) -> None:
        checks = {"/livez": live, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    encoder, kind = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, encoder(REGISTRY), kind)
                elif self.path in checks:
                    good = checks[self.path]()
                    self._answer(200 if good else 503, b"ok\n" if good else b"not ok\n", "text/plain")
                else:
                    self._answer(404, b"there are /livez, /readyz and /metrics\n", "text/plain")

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Probes are asked every few seconds; nobody reads of it."""

        self._server = ThreadingHTTPServer(parse_address(address), Handler)
        self.port = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, name="sluice-probes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
