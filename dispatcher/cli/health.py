"""`sluice health`: a service's probes, asked as containers do every few seconds.

Sockets alone: urllib takes longer to import than the question takes to be answered.
"""

import os
import socket
import sys
from collections.abc import Sequence
from typing import Annotated

from .failures import ExitCode

TIMEOUT_SECONDS = 5.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}  # noqa: S104 - we ask, not listen


def health(
    url: Annotated[str | None, "Where it answers: HOST:PORT or http://HOST:PORT; SLUICE_HEALTH when not given."] = None,
    /,
    *,
    ready: Annotated[bool, "Ask whether it can work now, not only whether it lives."] = False,
) -> int:
    """Ask a service whether it lives, or with --ready whether it can work; exit code 0 or 1."""
    address = url or os.environ.get("SLUICE_HEALTH", "")  # noqa: TID251 - reading settings takes a tenth of a second
    if not address:
        print("whom to ask? `sluice health HOST:PORT`, or set SLUICE_HEALTH as for the service", file=sys.stderr)
        return ExitCode.USAGE
    host, port, path = _parsed(address, "/readyz" if ready else "/livez")
    try:
        said = _asked(host, port, path)
    except (OSError, ValueError) as error:
        print(f"{host}:{port} does not answer: {error}", file=sys.stderr)
        return ExitCode.FAILED
    is_well = said.split(" ", 2)[1:2] == ["200"]
    print(
        "ok" if is_well else f"{host}:{port}{path} says {said or 'nothing'}", file=sys.stdout if is_well else sys.stderr
    )
    return ExitCode.OK if is_well else ExitCode.FAILED


def quick_health(words: Sequence[str]) -> int | None:
    """The same for plain arguments, without a parser; None when there is more to them, such as --help."""
    places = [word for word in words if not word.startswith("-")]
    if len(places) > 1 or any(word not in {"--ready", *places} for word in words):
        return None
    return health(places[0] if places else None, ready="--ready" in words)


def _parsed(address: str, path: str) -> tuple[str, str, str]:
    """Host, port and path; a service that listens everywhere is asked on this machine."""
    place, _, given = address.removeprefix("http://").partition("/")
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    return _ANYWHERE.get(host, host), port, f"/{given}" if given else path


def _asked(host: str, port: str, path: str) -> str:
    """The first line of the answer."""
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.readline(200).decode("ascii", "replace").strip()
