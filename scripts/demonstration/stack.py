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

    def sluice(self, *words: str) -> subprocess.Popen[bytes]:
        """Start one; its output goes to a file of the folder."""
        command = [sys.executable, "-P", "-c", "from dispatcher.cli import main; main()", *words]
        with (self._folder / f"process-{len(self._all)}.log").open("wb") as output:
            process = subprocess.Popen(
                command, cwd=APP_DIR, env=self._env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._all.append(process)
        return process

    def output(self) -> str:
        """The last lines of every process, for the case that one of them fails."""
        texts = [path.read_text(errors="replace").splitlines()[-5:] for path in self._folder.glob("process-*.log")]
        return "\n".join(line for lines in texts for line in lines)

    def failed(self, expected: int) -> bool:
        """Tell whether one has ended that was not killed on purpose."""
        return any(process.poll() is not None for process in self._all if process.pid != expected)

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
