"""Programs of others that some tests want."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def wanted(name: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where CI=true."""
    if found := shutil.which(name):
        return found
    text = f"{name} is not here"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


def promtool(*words: str | Path) -> str:
    """What promtool says; AssertionError with it when it finds fault."""
    command = [wanted("promtool"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compose() -> list[str]:
    """The words of Docker Compose, as a program of its own or as docker's plugin."""
    if shutil.which("docker-compose") or not shutil.which("docker"):
        return [wanted("docker-compose")]
    plugin = ["docker", "compose"]
    done = subprocess.run([*plugin, "version"], capture_output=True, check=False)
    return plugin if done.returncode == 0 else [wanted("docker-compose")]
