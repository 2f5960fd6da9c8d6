"""The Docker engine that some tests want, and local images for it."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "scripts" / "docker-engine"
CLIENT = next((path for path in ("/usr/bin/docker", shutil.which("docker")) if path and Path(path).exists()), "")


class DockerEngine:
    """An engine that answers. Images cannot be pulled everywhere: tests use stand-ins made from Debian's packages."""

    def __init__(self, version: str) -> None:
        self.version = version

    def docker(self, *words: str, timeout: float = 60) -> str:
        """Run the engine's client; its output. AssertionError with what it said when it fails."""
        done = subprocess.run([CLIENT, *words], capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    @staticmethod
    @cache
    def stand_in(kind: str) -> str:
        """The name of a local image: python, redis, prometheus or busybox. Skips where it cannot be made."""
        made = subprocess.run([ENGINE, "stand-in", kind], capture_output=True, text=True, timeout=900, check=False)
        if made.returncode:
            pytest.skip(f"no stand-in for {kind}: {made.stderr.strip()}")
        return made.stdout.split()[0]


def answering_engine() -> DockerEngine:
    """The engine that is here; the test is skipped where none answers."""
    if not CLIENT:
        pytest.skip("no Docker engine: `scripts/docker-engine start` installs one on Debian")
    words = [CLIENT, "version", "--format", "{{.Server.Version}}"]
    asked = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if asked.returncode:
        pytest.skip(f"no Docker engine answers (`scripts/docker-engine start`): {asked.stderr.strip()[-200:]}")
    return DockerEngine(asked.stdout.strip())
