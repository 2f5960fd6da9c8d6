"""compose.yaml with compose.ha.yaml as a project of its own: two servers, three sentinels, and all of Sluice."""

import json
import os
import secrets
import subprocess
from collections import Counter
from pathlib import Path
from typing import Self, TypedDict

from .composed import FOLDER, Secrets
from .docker import CLIENT, DockerEngine
from .tools import compose
from .waiting import wait_until_sync

PROGRAM = Path(__file__).parent / "programs" / "going_on.py"
NOTES = "/var/lib/sluice/notes"
SERVERS = ("redis", "redis-replica")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
_SECONDS = 600.0


class Outcome(TypedDict):
    """What became of the runs of one level, as `going_on.py` says it."""

    published: list[str]
    refused: int
    lost: list[str]
    states: dict[str, int]


class Publishing:
    """The program `going_on.py` in a container, which is gone after the `with` block."""

    def __init__(
        self, engine: DockerEngine, name: str, words: list[str], output: Path, environment: dict[str, str]
    ) -> None:
        self._engine, self._name, self._output = engine, name, output
        with output.open("wb") as said:
            self._process = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.PIPE, text=True
            )

    def _said(self) -> list[str]:
        return self._output.read_text().splitlines()

    def wait_for(self, count: int, level: str) -> None:
        """Wait until so many more of this level are acknowledged."""

        def acknowledged() -> int:
            return sum(line.startswith(level) for line in self._said())

        wanted = acknowledged() + count
        wait_until_sync(
            lambda: acknowledged() >= wanted, description=f"publishing {level} goes on", timeout=120, interval=0.2
        )

    def stop(self) -> dict[str, Outcome]:
        """End it, wait until all its runs are over; what it says of them."""
        self._engine.docker("kill", "--signal", "TERM", self._name)
        _, errors = self._process.communicate(timeout=_SECONDS)
        assert self._process.returncode == 0, errors[-2000:]
        found: dict[str, Outcome] = json.loads(self._said()[-1])
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        subprocess.run([CLIENT, "rm", "--force", self._name], capture_output=True, check=False)


class Stack:
    """The stack, of which nothing is left after the `with` block. Its words are those of Docker Compose."""

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._secrets = Secrets(folder / "secrets")
        self.name = f"sluice-ha-{secrets.token_hex(4)}"
        self._net = f"10.{secrets.randbelow(200) + 20}.{secrets.randbelow(250)}"
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "BASE_IMAGE": engine.stand_in("python"),
            "REDIS_IMAGE": engine.stand_in("redis"),
            "SLUICE_BUILD_NETWORK": "host",
            "SLUICE_IMAGE": f"{self.name}:test",
            "SLUICE_NET": self._net,
            "SLUICE_SECRETS": str(self._secrets.folder),
        }

    def words(self, *words: str) -> list[str]:
        """A command of Docker Compose for both files."""
        files = [word for name in ("compose.yaml", "compose.ha.yaml") for word in ("-f", str(FOLDER / name))]
        return [*compose(), *files, *words]

    def run(self, *words: str) -> str:
        """Do it; what it says. AssertionError when it fails."""
        done = subprocess.run(
            self.words(*words), env=self._environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        assert done.returncode == 0, f"{words}: {(done.stdout + done.stderr)[-2000:]}"
        return done.stdout.strip()

    def _inside(self, service: str, *words: str) -> str:
        """What a command says in the first container of a service; '' when it says nothing or fails."""
        labels = {"project": self.name, "service": service, "oneoff": "False"}
        filters = [
            word for name, value in labels.items() for word in ("-f", f"label=com.docker.compose.{name}={value}")
        ]
        found = self._engine.docker("ps", "--quiet", *filters).split()
        if not found:
            return ""
        login = ["--env", f"REDISCLI_AUTH={self._secrets['operator']}"] if "operator" in words else []
        done = subprocess.run(
            [CLIENT, "exec", *login, found[0], *words], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        return done.stdout.strip()

    def ask(self, service: str, *words: str) -> str:
        """What a server answers its operator; '' when it does not answer."""
        return self._inside(service, "redis-cli", "--user", "operator", *words)

    def replication(self, service: str) -> dict[str, str]:
        """What a server says of its role; nothing when it does not answer."""
        lines = self.ask(service, "INFO", "replication").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def sentinel(self, service: str, *words: str) -> str:
        """What a sentinel answers anybody."""
        return self._inside(service, "redis-cli", "-p", "26379", "sentinel", *words)

    def named(self) -> set[str]:
        """The servers that sentinels name as the master."""
        places = {f"{self._net}.{10 + number}": name for number, name in enumerate(SERVERS)}
        words = ("get-master-addr-by-name", "sluice")
        return {places.get(self.sentinel(sentinel, *words).partition("\n")[0], "") for sentinel in SENTINELS}

    def wait_until_in_step(self, master: str) -> None:
        """Wait until the other server follows this one, has all of it, and would be promoted."""
        (other,) = set(SERVERS) - {master}

        def follows() -> bool:
            said = self.replication(other)
            return (said.get("master_link_status"), said.get("slave_priority")) == ("up", "100")

        wait_until_sync(follows, description=f"{other} has all of {master}", timeout=120, interval=0.5)

    def publish_until_stopped(self, command: str, *levels: str) -> Publishing:
        """Publish from a container beside the services."""
        name = f"{self.name}-publishing"
        words = ["run", "--rm", "-T", "--no-deps", "--name", name, "--volume", f"{PROGRAM}:/going_on.py:ro"]
        words += ["--entrypoint", "python", "cli", "/going_on.py", command, *levels]
        return Publishing(self._engine, name, self.words(*words), self._folder / "said", self._environment)

    def ended(self) -> Counter[str]:
        """How often the records say of each run that it is over."""
        (master,) = self.named()
        lines = self.ask(master, "XRANGE", "sluice:{default}:finished", "-", "+").splitlines()
        return Counter(lines[2::3])  # the entry's id, how it ended, which run

    def notes(self) -> Counter[tuple[str, str]]:
        """How often each run wrote down outside Sluice that it starts or ends."""
        lines = self._inside("worker", "cat", NOTES).splitlines()
        return Counter((kind, run_id) for kind, run_id in map(str.split, lines))

    def __enter__(self) -> Self:
        try:
            self.run("build", "init")
            self.run("up", "--detach", "--scale", "scheduler=1", "--scale", "dispatcher=1")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run("--profile", "cli", "down", "--volumes", "--remove-orphans", "--timeout", "5")
        finally:
            subprocess.run([CLIENT, "rmi", "--force", f"{self.name}:test"], capture_output=True, check=False)
