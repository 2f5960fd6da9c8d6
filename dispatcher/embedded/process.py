"""A child process that ends when we do, however we end."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

# PR_SET_PDEATHSIG (1) asks Linux for SIGTERM when the parent goes; it survives exec. The launcher is a program of its
# own because code that runs between fork and exec is unsafe in a process with threads. It gives up if we went first.
_LAUNCHER = """
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 15)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Child:
    """A running program in a session of its own, so that Ctrl-C reaches us first.

    Linux sends the parent-death signal when the *thread* that forked ends. So a thread of its own starts the program
    and stays until the program has ended.
    """

    def __init__(self, command: Sequence[str], *, folder: Path, log: Path, keep: Sequence[int] = ()) -> None:
        """Start it in `folder`, output appended to `log`; it inherits the descriptors `keep`. OSError if it cannot."""
        self._command, self._folder, self._log, self._keep = command, folder, log, keep
        self._started = threading.Event()
        self._ended = threading.Event()
        self._failure: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._keep_alive, name="sluice-embedded-server", daemon=True).start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def pid(self) -> int:
        """The process id; it stays readable after the end."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: the signal), None while it runs."""
        return self._process.returncode if self._process and self._ended.is_set() else None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, at most `seconds`; tell whether it has."""
        return self._ended.wait(seconds)

    def send(self, signal: int) -> None:
        """Send it a signal, unless it has ended."""
        if self._process and not self._ended.is_set():
            self._process.send_signal(signal)

    def _keep_alive(self) -> None:
        try:
            with self._log.open("ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *self._command],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=self._keep,
                    start_new_session=True,
                )
        except OSError as error:
            self._failure = error
            return
        finally:
            self._started.set()
        self._process.wait()
        self._ended.set()
