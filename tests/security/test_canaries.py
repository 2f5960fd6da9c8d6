"""Secrets are in no log, error, record, metric or file of the server: each is a word that is looked for everywhere.

What may hold them: the password files, the environment of the worker, and that of the run that was given one.
"""

import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import redis

from dispatcher import BlockingClient, RunFailed
from dispatcher.access import SERVER_ROLES, file_line, password_hash, service_roles
from dispatcher.cli import main
from dispatcher.deployments import read_deployment
from tests.support.access import ADMIN
from tests.support.processes import Child, Children
from tests.support.servers import Server, free_port
from tests.support.waiting import wait_until_sync

PROGRAM = "from dispatcher.cli import main; main()"
IN_ADDRESS, IN_FILE, OF_RUN, OF_GIT, WRONG = (
    f"canary-{name}-5e1f0c" for name in ("address", "file", "run", "git", "wrong")
)
CANARIES = (IN_ADDRESS, IN_FILE, OF_RUN, OF_GIT, WRONG)
POOL = "processes"
TEMPLATE = {
    "secrets": {"allow": ["env:CANARY_*"]},
    "variables": {"type": "object", "properties": {"env": {"type": "object"}}, "additionalProperties": False},
    "job_configuration": {"env": "{{ env }}"},
}


class System:
    """A server with passwords and an append-only file, and services in processes that log all they can."""

    def __init__(self, server: Server, children: Children, folder: Path) -> None:
        self.server, self.folder, self._children = server, folder, children
        self.said: list[str] = []
        self.services: dict[str, tuple[Child, str]] = {}
        (folder / "password").write_text(IN_FILE)

    @property
    def by_file(self) -> dict[str, str]:
        """How services log in: user and password file."""
        return {
            "SLUICE_REDIS_URL": f"redis://127.0.0.1:{self.server.port}/0", "SLUICE_LOG_LEVEL": "debug",
            "SLUICE_REDIS_USERNAME": "dispatcher", "SLUICE_REDIS_PASSWORD_FILE": str(self.folder / "password"),
        }  # fmt: skip

    def by_address(self, password: str = IN_ADDRESS) -> dict[str, str]:
        """How the others do: both in the address."""
        return {"SLUICE_REDIS_URL": f"redis://operator:{password}@127.0.0.1:{self.server.port}/0"}

    def start(self, name: str, *words: str, **environment: str) -> None:
        """Start a service; returns when it is ready."""
        health = f"127.0.0.1:{free_port()}"
        environment = {**environment, "SLUICE_HEALTH": health, "SLUICE_LOG_FORMAT": "json"}
        child = self._children.python("-c", PROGRAM, *words, env=environment, cwd=self.folder)
        self.services[name] = child, health
        wait_until_sync(
            lambda: child.exit_code is not None or asked(f"http://{health}/readyz"), description=f"{name}", timeout=60
        )
        assert child.exit_code is None, child.text()

    def command(self, *words: str, **environment: str) -> str:
        """Run a command in this process; what it said is looked through later."""
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(out):
            patch.chdir(self.folder)
            for name, value in environment.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit):
                main(words)
        self.said.append(out.getvalue())
        return out.getvalue()

    def refused(self, *words: str, **environment: str) -> None:
        """Start a service that cannot; what it said is looked through, too."""
        child = self._children.python("-c", PROGRAM, *words, env=environment, cwd=self.folder)
        assert child.wait(60) != 0
        self.said.append(child.text())

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Every place where something was written, and what is there."""
        for name, (child, health) in self.services.items():
            yield f"output of {name}", child.text().encode()
            yield f"metrics of {name}", asked(f"http://{health}/metrics")
            yield f"command line of {name}", Path(f"/proc/{child.pid}/cmdline").read_bytes()
        yield "commands", "".join(self.said).encode()
        yield "log of the server", self.server.log().encode()
        with redis.Redis(port=self.server.port, username="admin", password="x") as admin:
            admin.save()
            for key in admin.scan_iter(count=1000):
                yield f"key {key!r}", admin.dump(key) or b""
                yield "names of keys", key
            yield "what the server shows", repr((admin.client_list(), admin.acl_log(), admin.slowlog_get(100))).encode()
        for path in self.server.folder.rglob("*"):
            if path.is_file():
                yield f"file {path.name}", path.read_bytes()


def asked(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            page: bytes = answer.read()
            return page
    except (urllib.error.URLError, OSError):
        return b""


@pytest.fixture
def system(new_server: Callable[..., Server], children: Children, tmp_path: Path) -> System:
    passwords = {"operator": IN_ADDRESS, "dispatcher": IN_FILE}
    lines = [file_line(role) for role in SERVER_ROLES if not role.has_password]
    lines += [
        file_line(role, password_hash(passwords[role.name])) for role in service_roles() if role.name in passwords
    ]
    (tmp_path / "users.acl").write_text("\n".join([*lines, ADMIN]) + "\n")
    server = new_server(
        "valkey", aof=True, settings={"aclfile": str(tmp_path / "users.acl"), "aof-use-rdb-preamble": "no"}
    )
    return System(server, children, tmp_path)


def found(system: System) -> list[str]:
    return sorted(
        {
            f"{canary} in {place}"
            for place, text in system.everything()
            for canary in CANARIES
            if canary.encode() in text
        }
    )


@pytest.mark.timeout(240)
def test_no_secret_is_written_anywhere(system: System):
    operator = system.by_address()
    system.command("pool", "create", POOL, "--type", "process", **operator)
    (system.folder / "template.json").write_text(json.dumps(TEMPLATE))
    system.command("pool", "template", "set", POOL, "template.json", **operator)
    system.start("dispatcher", "dispatcher", "start", **system.by_file)
    system.start("scheduler", "scheduler", "start", **operator, SLUICE_LOG_LEVEL="debug")
    secrets = {"CANARY_RUN": OF_RUN, "CANARY_GIT": OF_GIT}
    system.start("worker", "worker", "start", "--pool", POOL, **system.by_file, **secrets)
    runs = execute(system)
    for run in runs:
        system.command("run", "inspect", run, "-o", "json", "--pool", POOL, **operator)
    for words in (("run", "logs", runs[-1], "--pool", POOL), ("run", "ls", "-o", "json", "--pool", POOL), ("status",)):
        system.command(*words, **operator)
    failing(system)
    places = dict(system.everything())
    assert len(places) > 20
    assert found(system) == []
    assert OF_RUN in (system.folder / "got").read_text(), "the run had it"


def execute(system: System) -> list[str]:
    """Runs that have secrets: one uses it, one dies with it, one cannot clone with it."""
    env = {"env": {"TOKEN": {"secretRef": "env:CANARY_RUN"}}}
    keep = f'printf %s "$TOKEN" > {system.folder}/got'
    nowhere = f"https://127.0.0.1:{free_port()}/x.git"
    step = {"git_clone": {"repository": nowhere, "access_token": {"secretRef": "env:CANARY_GIT"}}}
    with BlockingClient(system.by_address()["SLUICE_REDIS_URL"], pool=POOL) as client:
        cloning = {"name": "clones", "pool": POOL, "command": ["true"], "pull": [step], "job_variables": env}
        client.deployments.put(read_deployment(cloning), expect=0)
        runs = [
            client.publish(command=keep, shell=True, job_variables=env),
            client.publish(command='test -n "$TOKEN" && kill -9 $$', shell=True, job_variables=env),
            client.deployments.run("clones"),
            client.publish(command=["/no/such/program"], job_variables=env),
            client.publish(command=["true"], job_variables={"env": {"X": {"secretRef": "env:SLUICE_REDIS_URL"}}}),
            client.publish(command="env | grep -i redis; exit 3", shell=True),
        ]
        for run in runs:
            try:
                client.result(run, 60)
            except RunFailed as failed:
                system.said.append(repr(failed) + str(failed))
        return [run.id for run in runs]


def failing(system: System) -> None:
    """Errors of all kinds: a wrong password, a server that is away, a bad address, with tracebacks."""
    for environment in (system.by_address(WRONG), {"SLUICE_REDIS_URL": f"redis://u:{WRONG}@127.0.0.1:1/0"},
                        {"SLUICE_REDIS_URL": f"http://u:{WRONG}@h"}, {"SLUICE_REDIS_URL": f"redis+sentinel://u:{WRONG}@h"},
                        {"SLUICE_REDIS_URL": f"redis://127.0.0.1:1/0?password={WRONG}"}):  # fmt: skip
        system.command("status", "--debug", **environment)
    system.command("doctor", "-o", "json", **system.by_address(WRONG))
    system.refused("dispatcher", "start", **system.by_address(WRONG))
    profile = {"SLUICE_CONFIG_DIR": str(system.folder / "config")}
    system.command("profile", "set", "p", f"redis_url=redis://u:{WRONG}@h", **profile)
    assert "***" in system.command("profile", "ls", "-o", "json", **profile)
    system.server.restart(kill=True)  # the services lose it for a moment, and say so
    wait_until_sync(
        lambda: all(asked(f"http://{health}/readyz") for _, health in system.services.values()),
        description="all are back", timeout=60,
    )  # fmt: skip


def test_a_secret_would_be_found(system: System):
    system.command("run", "publish", "f", "--pool", IN_FILE, **system.by_address())
    with redis.Redis(port=system.server.port, username="admin", password="x") as admin:
        admin.set("leak", OF_RUN)
    assert {line.split(" in ")[0] for line in found(system)} >= {IN_FILE, OF_RUN}
