"""Asking a server whether it answers, over a bare socket."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

_TIMEOUT = 1.0

Answer = Literal["ready", "loading", "silent"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a socket file, or a port of this machine."""

    socket: Path | None = None
    port: int = 0

    @property
    def url(self) -> str:
        """The address as Redis clients take it."""
        if self.socket is None:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"unix://{quote(str(self.socket))}?db=0"

    @classmethod
    def from_url(cls, url: str) -> "Address":
        """Read what `url` wrote."""
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return cls(socket=Path(unquote(parts.path)))
        return cls(port=parts.port or 0)


def ask(address: Address, pid: int | None = None) -> Answer:
    """Send one PING. With `pid`, an answer counts only from that very process: a port may be another server's."""
    try:
        with _connect(address) as connection:
            connection.sendall(b"PING\r\nINFO server\r\n")
            return _read(connection, pid)
    except OSError:
        return "silent"


def answers(address: Address) -> bool:
    """Tell whether any server answers there, be it still loading."""
    return ask(address) != "silent"


def _connect(address: Address) -> socket.socket:
    if address.socket is None:
        return socket.create_connection(("127.0.0.1", address.port), timeout=_TIMEOUT)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_TIMEOUT)
    try:
        connection.connect(str(address.socket))
    except OSError:
        connection.close()
        raise
    return connection


def _read(connection: socket.socket, pid: int | None) -> Answer:
    """Read until the answer is clear; a server that wants a password has answered."""
    text = b""
    while chunk := connection.recv(65_536):
        text += chunk
        if text.startswith((b"-NOAUTH", b"-NOPERM")) or (pid is None and b"\r\n" in text):
            return "loading" if text.startswith(b"-LOADING") else "ready"
        line = b"\r\nprocess_id:%d\r\n" % (pid or 0)
        if line in text:
            return "loading" if text.startswith(b"-LOADING") else "ready"
    return "silent"
