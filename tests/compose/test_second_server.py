"""compose.ha.yaml on a real engine: a replica that has every write, and sentinels that watch and do not promote."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.composed import FOLDER, Secrets
from tests.support.docker import DockerEngine
from tests.support.tools import compose
from tests.support.waiting import wait_until_sync

Words = Callable[..., str]
SERVERS = ("redis", "redis-replica", "sentinel-1", "sentinel-2", "sentinel-3")


@pytest.fixture
def project(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[Words]:
    """Docker Compose for a project of its own with both files, of which nothing is left."""
    made = Secrets(tmp_path / "secrets")
    environment = {
        **os.environ,
        "COMPOSE_PROJECT_NAME": f"sluice-ha-{secrets.token_hex(4)}",
        "REDIS_IMAGE": docker_engine.stand_in("redis"),
        "SLUICE_NET": f"10.{secrets.randbelow(200) + 20}.{secrets.randbelow(250)}",
        "SLUICE_SECRETS": str(made.folder),
        "REDISCLI_AUTH": made["operator"],
    }
    files = [word for name in ("compose.yaml", "compose.ha.yaml") for word in ("-f", str(FOLDER / name))]

    def run(*words: str) -> str:
        done = subprocess.run(
            [*compose(), *files, *words], env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    try:
        run("up", "--detach", *SERVERS)
        yield run
    finally:
        run("down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_replica_has_every_write_and_the_sentinels_agree_and_promote_nothing(project: Words):
    def told(service: str, *words: str) -> str:
        return project("exec", "-T", "-e", "REDISCLI_AUTH", service, "redis-cli", "--user", "operator", *words)

    def sentinel(*words: str) -> str:
        return project("exec", "-T", "sentinel-2", "redis-cli", "-p", "26379", "sentinel", *words)

    told("redis", "SADD", "sluice:pools", "etl")
    wait_until_sync(
        lambda: told("redis-replica", "SMEMBERS", "sluice:pools") == "etl",
        description="it is there",
        timeout=60,
        interval=0.5,
    )
    wait_until_sync(
        lambda: "OK 3 usable" in sentinel("ckquorum", "sluice"), description="they agree", timeout=60, interval=0.5
    )
    wait_until_sync(
        lambda: "slave-priority\n0" in sentinel("replicas", "sluice"),
        description="it is known",
        timeout=60,
        interval=0.5,
    )
    assert "NOGOODSLAVE" in sentinel("failover", "sluice")

    project("kill", "redis")
    wait_until_sync(
        lambda: "o_down" in sentinel("master", "sluice"), description="they saw it die", timeout=90, interval=1
    )
    assert "role:slave" in told("redis-replica", "INFO", "replication")
    project("up", "--detach", "redis")
    wait_until_sync(
        lambda: "master_link_status:up" in told("redis-replica", "INFO", "replication"),
        description="it follows again",
        timeout=90,
        interval=1,
    )
