"""What a contender is, and how one measurement is set up and read."""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from benchmarks.machine import Process, Server, busy_seconds, wait_for
from benchmarks.program import RECORD, Options, cpu_seconds

Pin = Literal["free", "same", "split"]
Result = dict[str, float]

CORES: dict[Pin, tuple[int | None, int | None]] = {"free": (None, None), "same": (0, 0), "split": (0, 1)}
_FEWEST = 100  # runs between two readings: the cost of fewer is noise


class Contender(Protocol):
    """Somebody to measure: its name, what it takes part in, and the programs that play its roles.

    - `fill` publishes `runs` runs (and makes pool, limit, queues), then ends.
    - `worker` runs handlers that call `Recorder(options.records).record(number, sent_ns)`, until it is killed.
    - `publish` prints what `program.publishing` returns, for each mode in `modes`.
    - `send` calls `program.sending`; with `delay_ms` its runs are due at the time it passes on.
    """

    @property
    def name(self) -> str:
        """Its row in the tables."""
        ...

    @property
    def scenarios(self) -> frozenset[str]:
        """What it takes part in."""
        ...

    @property
    def modes(self) -> Sequence[str]:
        """Ways of publishing it has: one, at-once, bulk."""
        ...

    @property
    def services(self) -> Sequence[str]:
        """Roles that run beside everything, such as a scheduler; they are started before the fill."""
        ...

    @property
    def runs(self) -> int:
        """How many runs make a drain of about a second or two."""
        ...

    def command(self, role: str) -> list[str]:
        """Return the command line of a role; its options are in the environment (program.Options)."""
        ...


@dataclass(frozen=True)
class Programs:
    """A contender whose roles are one Python module: `python -m module role`."""

    name: str
    module: str
    scenarios: frozenset[str]
    runs: int
    modes: Sequence[str] = ("one", "at-once", "bulk")
    services: Sequence[str] = ()
    python: str = sys.executable
    variables: Sequence[str] = ()

    def command(self, role: str) -> list[str]:
        """Return the command line of a role; `-P` keeps the current folder off the path."""
        environment = ["env", *self.variables] if self.variables else []
        return [*environment, self.python, "-P", "-m", self.module, role]


@dataclass(frozen=True)
class Setting:
    """What is the same for all measurements of one call: fewer runs, cores of server and worker, persistence."""

    quick: bool = False
    pin: Pin = "free"
    aof: bool = False


@dataclass
class Context:
    """One measurement: a fresh server, a folder, the contender's programs; everything ends with the context."""

    contender: Contender
    server: Server
    options: Options
    folder: Path
    setting: Setting
    stack: ExitStack

    def scale(self, runs: int) -> int:
        """Return how many runs to take: an eighth of them when it must be quick."""
        return max(runs // 8, 50) if self.setting.quick else runs

    def again(self) -> AbstractContextManager["Context"]:
        """Return the same setting with another server, for scenarios that measure twice."""
        return measurement(self.contender, self.setting)

    def start(self, role: str, **changes: object) -> Process:
        """Start a program; it is killed at the end of the measurement if it still runs."""
        options = replace(self.options, **changes)  # type: ignore[arg-type]
        process = Process(
            self.contender.command(role), options, self.folder / f"{role}.log", CORES[self.setting.pin][1]
        )
        self.stack.callback(process.end)
        return process

    def records(self) -> list[tuple[int, int, int]]:
        """Return what handlers recorded: number, time from the payload, time in the handler."""
        path = Path(self.options.records)
        return list(RECORD.iter_unpack(path.read_bytes())) if path.exists() else []

    def recorded(self) -> int:
        """Return how many handlers have run."""
        path = Path(self.options.records)
        return path.stat().st_size // RECORD.size if path.exists() else 0

    def wait_recorded(self, count: int, workers: Sequence[Process], seconds: float = 120.0) -> None:
        """Return when that many handlers have run."""

        def enough() -> bool:
            for worker in workers:
                worker.check()
            return self.recorded() >= count

        wait_for(enough, f"{count} runs of {self.contender.name} ({self.recorded()} so far)", seconds)


@contextmanager
def measurement(contender: Contender, setting: Setting) -> Generator[Context, None, None]:
    """Set up one measurement and take it down."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(Server(aof=setting.aof, core=CORES[setting.pin][0]))
        options = Options(url=server.url, records=str(folder / "records"), server_pid=server.pid)
        context = Context(contender, server, options, folder, setting, stack)
        for service in contender.services:
            context.start(service)
        yield context


class Meter:
    """Reads CPU, commands and progress between two moments of a measurement."""

    def __init__(self, context: Context, workers: Sequence[Process]) -> None:
        self._context, self._workers = context, workers
        self._began = self._read()

    def per_run(self) -> Result:
        """Return the cost of each run since the start, and how many cores others used meanwhile."""
        now = self._read()
        wall, own, busy, worker, redis, commands, runs = (b - a for a, b in zip(self._began, now, strict=True))
        if runs < _FEWEST:
            return {}
        return {
            "worker_us": worker / runs * 1e6,
            "redis_us": redis / runs * 1e6,
            "commands": commands / runs,
            "foreign_cores": max(busy - worker - redis - own, 0.0) / wall,
        }

    def idle(self) -> Result:
        """Return the cost of doing nothing since the start."""
        now = self._read()
        wall, _, _, worker, redis, commands, _ = (b - a for a, b in zip(self._began, now, strict=True))
        # The INFO that counts the commands is one of them, QUIT another.
        return {
            "idle_ms_per_s": worker / wall * 1e3,
            "idle_redis_ms_per_s": redis / wall * 1e3,
            "idle_commands_per_s": max(commands - 2, 0) / wall,
        }

    def _read(self) -> tuple[float, ...]:
        worker = sum(process.cpu() for process in self._workers)
        commands = self._context.server.commands()
        redis = cpu_seconds(self._context.server.pid)
        runs = self._context.recorded()
        return time.monotonic(), time.process_time(), busy_seconds(), worker, redis, commands, runs


def percentiles(nanoseconds: Sequence[int]) -> Result:
    """Return p50, p99 and the extremes in milliseconds."""
    cuts = statistics.quantiles(nanoseconds, n=100, method="inclusive")
    named = {"p50_ms": cuts[49], "p99_ms": cuts[98], "min_ms": min(nanoseconds), "max_ms": max(nanoseconds)}
    return {name: value / 1e6 for name, value in named.items()}
