"""Child processes of the tests: started, stopped, frozen by pid; none outlives the test run, however that ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from .waiting import wait_until, wait_until_sync

# Linux sends the parent-death signal (PR_SET_PDEATHSIG, 1) when the *thread* that forked ends, so one thread that lives
# as long as this process starts all children. The launcher is a program because preexec_fn is unsafe with threads.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="test-spawner")
_LAUNCHER = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""
_FAREWELL = 10.0


class Child:
    """A running program with its output in a file; `pid` is that of the program itself.

    It gets SIGKILL when this process goes. Every method may be called after it has ended.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        output: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start it. `env` is added to our environment; stdout and stderr are appended to `output`."""
        self.output = output
        words = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *map(str, command)]
        with output.open("ab") as log:
            self._process = _SPAWNER.submit(
                subprocess.Popen,
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            ).result()

    @property
    def pid(self) -> int:
        """The process id; it stays readable after the end."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: the signal), None while it runs."""
        return self._process.poll()

    def text(self) -> str:
        """Return what it has written so far."""
        return self.output.read_text(errors="replace")

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used, user and system."""
        return cpu_seconds(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def freeze(self) -> None:
        """Stop it with SIGSTOP and return when it no longer runs."""
        self.send(signal.SIGSTOP)
        wait_until_sync(lambda: state(self.pid) in "TtZX", description=f"process {self.pid} is frozen", interval=0.001)

    def thaw(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def kill(self) -> int:
        """End it with SIGKILL, frozen or not."""
        self.send(signal.SIGKILL)
        return self.wait()

    def stop(self, timeout: float = _FAREWELL) -> int:
        """Ask it to end (SIGTERM); SIGKILL after `timeout` seconds. Returns the exit code."""
        self.send(signal.SIGTERM)
        self.thaw()
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def wait(self, timeout: float = _FAREWELL) -> int:
        """Return the exit code; AssertionError with its output if it runs on."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.pid} still runs after {timeout:g} s:\n{self.text()}") from None

    async def ended(self, timeout: float = _FAREWELL) -> int:
        """Return the exit code, without blocking the event loop."""
        await wait_until(lambda: self.exit_code is not None, description=f"{self.pid} has ended", timeout=timeout)
        return self.wait()


class Children:
    """Starts children whose output goes to one folder, and ends them all: `with Children(folder) as children`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all: list[Child] = []

    def python(self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Child:
        """Start our own Python with these arguments; `-P` keeps the current folder off its path."""
        return self.start(sys.executable, "-P", *arguments, env=env, cwd=cwd)

    def start(self, *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Child:
        """Start any program."""
        child = Child(command, output=self.folder / f"child-{len(self._all)}.log", env=env, cwd=cwd)
        self._all.append(child)
        return child

    def end(self) -> None:
        """Kill whatever still runs."""
        for child in self._all:
            child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, user and system, all its threads.

    Linux's process clock counts nanoseconds; /proc/PID/stat counts ticks of 10 ms, which is a whole idle worker.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
    except OSError:
        raise ProcessLookupError(f"no process {pid}") from None


def state(pid: int) -> str:
    """Return the kernel's letter for a process: R, S, T (stopped), Z (ended, not collected); X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"
