"""The peers as contenders, and the environment they run in: .bench/ at the root of the repository."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Programs

_ROOT = Path(__file__).resolve().parents[3]
_FOLDER = _ROOT / ".bench"
_PINS = _ROOT / "scripts" / "constraints.txt"
_PACKAGES = ("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop", "msgpack")


@dataclass(frozen=True)
class Taskiq(Programs):
    """taskiq: its worker is its own command, the other roles are our module."""

    results: bool = False

    def command(self, role: str) -> list[str]:
        """Return the command line; `env` hands on whether results are stored."""
        env = ["env", "BENCH_RESULTS=1"] if self.results else []
        if role != "worker":
            return [*env, *super().command(role)]
        # One process, as many tasks at once as by default. Its log is cut to errors, which favours it.
        own = ["taskiq", "worker", f"{self.module}:broker", "--workers", "1", "--max-async-tasks", "100"]
        return [*env, self.python, "-P", "-m", *own, "--log-level", "ERROR"]


def peers() -> Sequence[Programs]:
    """Return all peers; the first call makes their environment."""
    python = str(_environment())
    scenarios = frozenset({"drain", "two-workers", "publish", "latency", "memory"})
    module = "benchmarks.peers.taskiq"
    modes = ("one", "at-once")
    return [
        Taskiq("taskiq", module, scenarios, 8_000, modes, python=python),
        Taskiq("taskiq:results", module, scenarios, 6_000, modes, python=python, results=True),
    ]


def _environment() -> Path:
    """Return the Python of the peers' environment, made when it is missing or its pins have changed."""
    python, stamp = _FOLDER / "peers" / "bin" / "python", _FOLDER / "pins"
    wanted = f"{' '.join(_PACKAGES)}\n{_PINS.read_text()}"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing {', '.join(_PACKAGES)} into {_FOLDER.name}/", file=sys.stderr)
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / ".gitignore").write_text("*\n")
    _install(python)
    stamp.write_text(wanted)
    return python


def _install(python: Path) -> None:
    """Make it with venv and pip; with uv where Python came without them."""
    folder, wanted = str(_FOLDER / "peers"), ["-qq", "-c", str(_PINS), *_PACKAGES]
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", folder], capture_output=True, check=False)
    if made.returncode == 0:
        subprocess.run([python, "-m", "pip", "install", "--disable-pip-version-check", *wanted], check=True)
        return
    subprocess.run(["uv", "venv", "-q", "--clear", "--python", sys.executable, folder], check=True)
    subprocess.run(["uv", "pip", "install", "--python", python, *wanted], check=True)
