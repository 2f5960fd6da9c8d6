"""The embedded server: a Redis or Valkey of our own for `sluice up`, demos and tests, without Docker or root.

It is started and watched here and spoken to like any other server: this package knows no Redis client.
"""

from .binary import Server, bundled_server, find_server, server_on_path
from .errors import EmbeddedServerBusy, EmbeddedServerFailed, EmbeddedServerMissing
from .folder import running_url
from .server import EmbeddedServer

__all__ = [
    "EmbeddedServer",
    "EmbeddedServerBusy",
    "EmbeddedServerFailed",
    "EmbeddedServerMissing",
    "Server",
    "bundled_server",
    "find_server",
    "running_url",
    "server_on_path",
]
