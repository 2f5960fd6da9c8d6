"""`scripts/docker-engine`: an engine is started where none answers, and ended by whoever started it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.docker import CLIENT, ENGINE, DockerEngine

APART = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-euc"]
EMPTY = "mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib/docker"
ASK = f"{CLIENT} version --format 'answers {{{{.Server.Version}}}}' 2>&1 | tail -n 1"


@pytest.fixture
def apart() -> list[str]:
    """Words before a script that runs where no engine answers: mounts, network and processes of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("dockerd") is None:
        pytest.skip("a namespace with an engine of its own wants root, unshare and dockerd")
    if subprocess.run([*APART, EMPTY], capture_output=True, check=False).returncode:
        pytest.skip("namespaces cannot be made here")
    return APART


def told(words: list[str]) -> list[str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line]


@pytest.mark.docker
@pytest.mark.slow
def test_an_engine_is_started_once_and_ended_by_who_started_it(apart: list[str]):
    script = f"{EMPTY}; {ENGINE} stop; {ENGINE} start; {ENGINE} start; {ASK}; {ENGINE} stop; {ASK}; {ENGINE} stop"
    none, first, second, answer, stopped, gone, again = told([*apart, script])
    assert none == again == "no docker engine was started from here"
    assert first == second == f"docker engine {answer.removeprefix('answers ')}"
    assert stopped == "docker engine stopped"
    assert "Cannot connect" in gone


@pytest.mark.docker
def test_who_is_not_root_is_told_so(apart: list[str]):
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    (said,) = told(
        [*apart, f"{EMPTY}; cd {Path(ENGINE).parent}; {nobody} /usr/bin/python3 engine/__main__.py start || true"]
    )
    assert said == "starting a Docker engine wants root"


@pytest.mark.docker
def test_a_stand_in_is_made_once_and_runs(docker_engine: DockerEngine):
    image = docker_engine.stand_in("busybox")
    again = subprocess.run(
        [ENGINE, "stand-in", "busybox", f"{image}-again"], capture_output=True, text=True, check=True
    )
    assert again.stdout == f"{image}-again is a stand-in: busybox\n"
    try:
        ids = {docker_engine.docker("images", "--quiet", name) for name in (image, f"{image}-again")}
        assert len(ids) == 1
        assert docker_engine.docker("run", "--rm", "--network", "none", f"{image}-again", "echo", "here") == "here"
    finally:
        docker_engine.docker("rmi", f"{image}-again")


def test_an_unknown_kind_is_refused_with_those_there_are():
    done = subprocess.run([ENGINE, "stand-in", "mysql"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "busybox" in done.stderr
