"""/livez, /readyz and /metrics of a service, served by threads so that a busy event loop still answers.

A dispatcher has /autoscale/POOL besides: what whoever starts workers wants to know, as JSON.
"""

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import unquote

from prometheus_client.exposition import choose_encoder

from .errors import InvalidInput, NotFound, SluiceError
from .metrics import REGISTRY

Check = Callable[[], bool]
Autoscaling = Callable[[str], Mapping[str, object]]
_AUTOSCALE = "/autoscale/"


def parse_address(address: str) -> tuple[str, int]:
    """HOST:PORT, or raise InvalidInput."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"{address!r} is no address to listen on: give HOST:PORT, e.g. 127.0.0.1:4301")
    return host.strip("[]") or "127.0.0.1", int(port)


class Probes:
    """Answers 200 or 503 by the checks given. Context manager; `port` is the one in use (0 picks a free one).

    `autoscale` says it of a pool; where it raises NotFound the answer is 404, for any other error of ours 503.
    """

    def __init__(
        self, address: str, *, live: Check, ready: Check, autoscale: Autoscaling | None = None
    ) -> None:  # fmt: skip
        checks = {"/livez": live, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    encoder, kind = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, encoder(REGISTRY), kind)
                elif path in checks:
                    good = checks[path]()
                    self._answer(200 if good else 503, b"ok\n" if good else b"not ok\n", "text/plain")
                elif autoscale and path.startswith(_AUTOSCALE):
                    status, found = _autoscaling(autoscale, unquote(path.removeprefix(_AUTOSCALE)))
                    self._answer(status, json.dumps(found).encode() + b"\n", "application/json")
                else:
                    known = ["/livez", "/readyz", "/metrics", *([f"{_AUTOSCALE}POOL"] if autoscale else [])]
                    self._answer(404, f"there are {', '.join(known)}\n".encode(), "text/plain")

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


def _autoscaling(autoscale: Autoscaling, pool: str) -> tuple[int, Mapping[str, object]]:
    try:
        return 200, autoscale(pool)
    except NotFound as error:
        return 404, {"error": str(error)}
    except SluiceError as error:
        return 503, {"error": str(error)}
