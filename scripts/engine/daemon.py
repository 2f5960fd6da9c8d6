"""The engine itself: dockerd, started when none answers, and ended by whoever started it."""

import os
import signal
import subprocess
import time
from pathlib import Path

from packages import DOCKER, EngineError, install, require_root

STATE = Path("/run/sluice-docker-engine")
PACKAGES = ("docker.io", "iptables", "docker-compose", "busybox-static", "debootstrap")
SECONDS = 60.0


def start() -> str:
    """Return what engine answers; install and start one where none does. EngineError when that is not possible."""
    if answer() is None:
        require_root("starting a Docker engine")
        install(*PACKAGES)
        if answer() is None:  # where there is an init system, the package has started it
            _start_daemon()
    return f"docker engine {answer()}"


def answer() -> str | None:
    """Version and storage of the engine that answers, None when there is none."""
    words = [DOCKER, "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _start_daemon() -> None:
    STATE.mkdir(exist_ok=True)
    log = STATE / "dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    (STATE / "pid").write_text(str(process.pid))
    end = time.monotonic() + SECONDS
    while answer() is None:
        if process.poll() is not None or time.monotonic() > end:
            last = log.read_text(errors="replace").splitlines()[-8:]
            stop()
            raise EngineError("\n  ".join(["dockerd does not answer; it said last:", *last]))
        time.sleep(0.2)


def stop() -> str:
    """End the engine that `start` started, with its containers."""
    file = STATE / "pid"
    pid = int(file.read_text()) if file.exists() else 0
    if not pid or not _is_dockerd(pid):
        file.unlink(missing_ok=True)
        return "no docker engine was started from here"
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + SECONDS
    while _is_dockerd(pid):
        if time.monotonic() > end:
            raise EngineError(f"dockerd {pid} does not end; what it says is in {STATE / 'dockerd.log'}")
        time.sleep(0.1)
    file.unlink(missing_ok=True)
    return "docker engine stopped"


def _is_dockerd(pid: int) -> bool:
    """Whether this process is still that engine: the number may be another's by now, or a zombie's."""
    try:
        return b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
