"""start-server and start-sentinel of compose.ha.yaml: what a server follows when it starts, what a sentinel keeps."""

import os
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from tests.support.composed import FOLDER, Secrets
from tests.support.processes import Children
from tests.support.servers import Kind, free_port, require
from tests.support.topologies import holds
from tests.support.waiting import wait_until_sync

KINDS = [pytest.param("valkey"), pytest.param("redis", marks=pytest.mark.redis)]
OWN, OTHER = "10.71.43.10", "10.71.43.11"
SENTINELS = ("21", "22", "23")
# Programs that the scripts call: a server says that it is started, a sentinel what the test has put down for it. As
# sleep fails, what waits ends, and so does the watch.
PROGRAMS = {
    "redis-server": 'echo "started $*"',
    "redis-cli": '[ "$1" = -h ] && cat "$ANSWERS/$2"',
    "sleep": "exit 1",
}
REWRITTEN = f"include x\nreplica-priority 100\nmaxmemory 1gb\nreplicaof {OTHER} 6379\naclfile /nowhere\n"


def _placed(script: str, folder: Path) -> Path:
    """A copy of a script that finds everything in this folder."""
    text = (FOLDER / "redis" / script).read_text()
    for place in ("/data", "/run/secrets", "/usr/local/etc/redis"):
        text = text.replace(place, str(folder / place.rpartition("/")[2]))
    (folder / "data").mkdir(exist_ok=True)
    (folder / script).write_text(text)
    return folder / script


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Starts a server whose volume holds a file, or none; what it says, and the configuration that it starts with."""
    script = _placed("start-server", tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "redis_server").touch()
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "ANSWERS": str(tmp_path), "ADDRESS": OWN, "FIRST": OWN,
        "SENTINELS": " ".join(SENTINELS),
    }  # fmt: skip

    def started(
        answers: Mapping[str, str], file: str | None = None, *, is_empty: bool = False, **given: str
    ) -> tuple[str, str]:
        for sentinel, answer in answers.items():
            (tmp_path / sentinel).write_text(f"{answer}\n6379\n")
        written = tmp_path / "data" / "server.conf"
        if file is not None:
            written.write_text(file)
        if not is_empty:
            (tmp_path / "data" / "appendonlydir").mkdir()
        done = subprocess.run(
            ["sh", script], env=environment | given, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode == 0:
            assert stat.S_IMODE(written.stat().st_mode) == 0o600  # servers write passwords into it
        return done.stdout, written.read_text() if written.exists() else ""

    return started


@pytest.mark.parametrize(
    ("answers", "file", "follows"),
    [
        pytest.param({}, REWRITTEN, OTHER, id="nobody answers: whom it followed"),
        pytest.param({}, "include x\n", "", id="nobody answers: it was the master"),
        pytest.param(dict.fromkeys(SENTINELS, OTHER), "include x\n", OTHER, id="an old master follows the new one"),
        pytest.param({"21": OTHER, "23": OTHER}, "include x\n", OTHER, id="two of three are enough"),
        pytest.param({"21": OTHER}, "include x\n", "", id="one of three is not"),
        pytest.param({"21": OTHER, "22": OWN}, "include x\n", "", id="they do not agree"),
        pytest.param(dict.fromkeys(SENTINELS, OWN), REWRITTEN, "", id="it is named itself"),
        pytest.param(dict.fromkeys(SENTINELS, "NOPERM this user"), REWRITTEN, OTHER, id="an error is no address"),
        pytest.param(dict.fromkeys(SENTINELS, OTHER), None, OTHER, id="its volume is new"),
    ],
)
def test_a_server_follows_whom_most_sentinels_name_and_else_whom_it_followed(
    start: Callable[..., tuple[str, str]], answers: dict[str, str], file: str | None, follows: str
):
    said, written = start(answers, file)
    assert said.startswith("started ")
    assert [line for line in written.splitlines() if line.startswith("replicaof")] == (
        [f"replicaof {follows} 6379"] if follows else []
    )


def test_nothing_else_that_a_server_wrote_is_kept(start: Callable[..., tuple[str, str]], tmp_path: Path):
    _, written = start({}, REWRITTEN)
    words = [line.split()[0] for line in written.splitlines()]
    assert words == ["include", "include", "replica-priority", "replicaof"]
    assert f"include {tmp_path / 'redis' / 'redis.conf'}" in written
    assert "replica-priority 0" in written


def test_the_first_time_one_is_the_master_and_the_other_follows(start: Callable[..., tuple[str, str]]):
    assert "replicaof" not in start({}, is_empty=True)[1]


def test_the_first_time_the_other_follows(start: Callable[..., tuple[str, str]]):
    assert f"replicaof {OWN} 6379" in start({}, is_empty=True, ADDRESS=OTHER)[1]


def test_a_master_whose_volume_was_lost_does_not_start(start: Callable[..., tuple[str, str]]):
    said, written = start(dict.fromkeys(SENTINELS, OWN), is_empty=True)
    assert "its volume is empty: waits until the other one is promoted" in said
    assert "started" not in said.splitlines()[-1]
    assert written == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentinel_keeps_what_it_learnt_and_takes_new_passwords_when_it_is_started_again(
    kind: Kind, tmp_path: Path, children: Children
):
    secrets, port = Secrets(tmp_path / "secrets"), free_port()
    script = _sentinel(kind, tmp_path, port)
    names: list[object] = []
    for _ in range(2):
        sentinel = children.start("sh", script, env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "FIRST": "127.0.0.1"})
        wait_until_sync(lambda: holds(lambda: _ask(port, "PING")), description="a sentinel answers", timeout=30)
        names.append(_ask(port, "SENTINEL MYID", username="sentinel", password=secrets["sentinel"]))
        sentinel.stop()
        (secrets.folder / "redis_sentinel").unlink()
        secrets.make()
    assert names[0] == names[1]
    assert "sentinel auth-pass" in (tmp_path / "data" / "sentinel.conf").read_text()
    assert stat.S_IMODE((tmp_path / "data" / "sentinel.conf").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentinel_tells_anybody_where_the_master_is_and_obeys_nobody(kind: Kind, tmp_path: Path, children: Children):
    Secrets(tmp_path / "secrets")
    port = free_port()
    script = _sentinel(kind, tmp_path, port)
    children.start("sh", script, env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "FIRST": "127.0.0.1"})
    wait_until_sync(lambda: holds(lambda: _ask(port, "PING")), description="a sentinel answers", timeout=30)
    with redis.Redis(port=port) as anybody:
        assert anybody.sentinel_master("sluice")["ip"] == "127.0.0.1"  # type: ignore[no-untyped-call]
    for command in (
        "SENTINEL FAILOVER sluice", "SENTINEL REMOVE sluice", "SENTINEL SET sluice quorum 1", "SENTINEL RESET *",
        "SENTINEL CONFIG GET *", "SENTINEL MONITOR other 127.0.0.1 1 1", "ACL LIST", "SHUTDOWN", "PUBLISH a b", "INFO",
    ):  # fmt: skip
        with pytest.raises(NoPermissionError):
            _ask(port, command)


def _sentinel(kind: Kind, folder: Path, port: int) -> Path:
    """Place what a sentinel is started with; the master that it is told of is not there."""
    (folder / "redis-server").symlink_to(require(kind))
    (folder / "redis").mkdir()
    config = (FOLDER / "redis" / "sentinel.conf").read_text().replace("port 26379", f"port {port}\nbind 127.0.0.1")
    (folder / "redis" / "sentinel.conf").write_text(config.replace("dir /data", f"dir {folder / 'data'}"))
    script = _placed("start-sentinel", folder)
    script.write_text(script.read_text().replace("6379 2", f"{free_port()} 2"))
    return script


def _ask(port: int, command: str, **login: str) -> object:
    with redis.Redis(port=port, retry=Retry(NoBackoff(), 0), **login) as client:  # type: ignore[arg-type]
        return client.execute_command(*command.split())
