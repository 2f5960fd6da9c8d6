"""One compose project: its words, its containers, and nothing of it left afterwards."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "compose" / "compose.yaml"
NOTES = "/runs/notes"
SOCKET = Path("/var/run/docker.sock")
SECONDS = 600.0


class DemoError(Exception):
    """The stack did not do what the next step needs, for the reason it gives."""


def docker() -> str:
    """The engine's client."""
    return shutil.which("docker") or "docker"


def compose_words() -> list[str]:
    """Docker Compose: the plugin, or the program of old."""
    plugin = [docker(), "compose"]
    done = subprocess.run([*plugin, "version"], capture_output=True, check=False) if shutil.which("docker") else None
    if done is not None and done.returncode == 0:
        return plugin
    if old := shutil.which("docker-compose"):
        return [old]
    raise DemoError("Docker Compose is not here: install its plugin, or docker-compose 1.29")


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = 180.0, pause: float = 0.3) -> None:
    """Ask until it is true. DemoError when it does not become so."""
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise DemoError(f"not in {seconds:g} s: {what}")
        time.sleep(pause)


class Project:
    """A project with a name of its own. After the `with` block its containers, networks, volumes and image are gone."""

    def __init__(self, variables: Mapping[str, str], *, keep: bool = False) -> None:
        self.name = f"sluice-demo-{secrets.token_hex(4)}"
        self.image = f"{self.name}:demo"
        self._keep, self._words = keep, compose_words()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self._env = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "SLUICE_IMAGE": self.image,
            "SLUICE_SECRETS": str(self._folder / "secrets"),
            "PROMETHEUS_PORT": "",
            "SLUICE_BUILD_NETWORK": "host",  # an engine may have no bridge of its own
            **({"DOCKER_GID": str(SOCKET.stat().st_gid)} if SOCKET.is_socket() else {}),
            **variables,
        }
        self._run([str(ROOT / "compose" / "make-secrets"), self._env["SLUICE_SECRETS"]])

    def _run(self, words: list[str], *, timeout: float = SECONDS) -> str:
        try:
            done = subprocess.run(
                words, env=self._env, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise DemoError(f"{' '.join(words)} did not end in {timeout:g} s") from None
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise DemoError(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
        return done.stdout.strip()

    def docker(self, *words: str) -> str:
        """Run a command of the engine's client; its output. DemoError when it fails."""
        return self._run([docker(), *words])

    def compose(self, *words: str) -> str:
        """Run a command of Docker Compose; its output. DemoError when it fails."""
        return self._run([*self._words, "-f", str(FILE), *words])

    def build(self) -> tuple[float, int]:
        """Build the image; seconds, and its size in bytes."""
        began = time.monotonic()
        self.compose("build", "init")
        size = json.loads(self.docker("image", "inspect", self.image))[0]["Size"]
        return time.monotonic() - began, size

    def scale(self, workers: int) -> None:
        """Have so many workers; those that are too many end by themselves."""
        self.compose("up", "-d", "--no-recreate", "--no-deps", "--scale", f"worker={workers}", "worker")

    def containers(self, service: str) -> list[str]:
        """Ids of the running containers of a service."""
        words = ["ps", "--quiet", "--no-trunc", "--filter", f"label=com.docker.compose.project={self.name}"]
        return self.docker(*words, "--filter", f"label=com.docker.compose.service={service}").split()

    def redis_image(self) -> str:
        """The image of the server, which has a shell."""
        return self.docker("inspect", "--format", "{{.Config.Image}}", self.containers("redis")[0])

    def start_reader(self) -> None:
        """Start what reads the notes: it is no part of the stack."""
        words = [
            "run",
            "--detach",
            "--rm",
            "--name",
            f"{self.name}-reader",
            "--network",
            "none",
            "--entrypoint",
            "sleep",
        ]
        self.docker(*words, "--volume", f"{self.name}_runs:/runs:ro", self.redis_image(), "3600")

    def notes(self) -> list[str]:
        """The lines that runs have written so far."""
        return self.docker("exec", f"{self.name}-reader", "sh", "-c", f"[ ! -e {NOTES} ] || cat {NOTES}").splitlines()

    def operator(self, *words: str) -> str:
        """What the server answers its operator."""
        password = (Path(self._env["SLUICE_SECRETS"]) / "redis_operator").read_text()
        login = ["exec", "--env", f"REDISCLI_AUTH={password}", self.containers("redis")[0]]
        return self.docker(*login, "redis-cli", "--user", "operator", *words)

    def prometheus(self, query: str) -> list[dict[str, object]]:
        """What Prometheus answers a query."""
        port = json.loads(self.docker("inspect", self.containers("prometheus")[0]))[0]["NetworkSettings"]["Ports"]
        url = f"http://127.0.0.1:{port['9090/tcp'][0]['HostPort']}/api/v1/query?query={urllib.request.quote(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[dict[str, object]] = json.load(answer)["data"]["result"]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._keep:
            print(f"the stack stays: COMPOSE_PROJECT_NAME={self.name} SLUICE_SECRETS={self._env['SLUICE_SECRETS']}")
            return
        subprocess.run([docker(), "rm", "--force", f"{self.name}-reader"], capture_output=True, check=False)
        profiles = [word for name in ("monitoring", "demo", "cli", "docker", "grafana") for word in ("--profile", name)]
        try:
            self.compose(*profiles, "down", "--volumes", "--remove-orphans", "--timeout", "5")
        finally:
            subprocess.run([docker(), "rmi", "--force", self.image], capture_output=True, check=False)
            shutil.rmtree(self._folder, ignore_errors=True)
