"""The processes of the demonstration: dispatcher, scheduler and workers, each started as a user would start it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

APP_DIR = Path(__file__).resolve().parents[2] / "examples" / "demo"


class Processes:
    """Starts `sluice ...` children of one server; all of them have ended after the `with` block."""

    def __init__(self, url: str, folder: Path) -> None:
        self.log = folder / "witness.log"
        self._folder = folder
        self._env = {**os.environ, "SLUICE_REDIS_URL": url, "DEMO_LOG": str(self.log), "SLUICE_LOG_FORMAT": "json"}
        self._all: list[subprocess.Popen[bytes]] = []
        self._words: list[str] = []
        self.killed = 0

    def log_of(self, name: str) -> Path:
        """A file for what other runs write."""
        return self._folder / f"{name}.log"

    def sluice(self, *words: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start one; its output goes to a file of the folder. Its runs write to `log`."""
        command = [sys.executable, "-P", "-c", "from dispatcher.cli import main; main()", *words]
        with (self._folder / f"process-{len(self._all)}.log").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=APP_DIR,
                env={**self._env, "DEMO_LOG": str(log or self.log)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._all.append(process)
        self._words.append(" ".join(words[:2]))
        return process

    def forget_ended(self) -> None:
        """The last one was to end. Raises RuntimeError with its last words when it failed."""
        if self._all[-1].poll() == 0:
            self._all.pop()
            self._words.pop()
        self.check()

    def check(self) -> None:
        """Raise RuntimeError with its last words when a process has ended that was not killed on purpose."""
        for number, process in enumerate(self._all):
            if process.poll() is not None and process.pid != self.killed:
                words = (self._folder / f"process-{number}.log").read_text(errors="replace").splitlines()
                raise RuntimeError("\n".join([f"sluice {self._words[number]} ended by itself:", *words[-10:]]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._all:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
