"""A daemon of the test's own, stopped and started while containers run: what becomes of them is told rightly."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support.containers import docker_type, hand_off
from tests.support.processes import Child, Children
from tests.support.tunnel import Tunnel
from tests.support.waiting import wait_until, wait_until_sync

pytestmark = [pytest.mark.docker, pytest.mark.slow]


class OwnDaemon:
    """A second daemon in a folder of the test, and in networks of its own: without, it would take docker0 away."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._children, self._folder = children, folder
        self.socket = f"{folder}/docker.sock"
        self.child: Child | None = None

    def start(self) -> None:
        (self._folder / "docker.pid").unlink(missing_ok=True)
        self.child = self._children.start(
            "unshare", "--net", "dockerd", "--host", f"unix://{self.socket}", "--pidfile", self._folder / "docker.pid",
            "--data-root", self._folder / "data", "--exec-root", self._folder / "exec", "--bridge", "none",
            "--iptables=false", "--ip6tables=false", "--containerd-namespace", "own",
            "--containerd-plugins-namespace", "own-plugins",
        )  # fmt: skip
        wait_until_sync(self._answers, description=f"it answers: {self.child.text()[-500:]}", timeout=60)

    def _answers(self) -> bool:
        assert self.child
        assert self.child.exit_code is None, self.child.text()[-2_000:]
        with socket.socket(socket.AF_UNIX) as asking:
            try:
                asking.connect(self.socket)
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in asking.recv(100)
            except OSError:
                return False


@pytest.fixture
def own(children: Children, engine: Any) -> Iterator[OwnDaemon]:
    if None in (shutil.which("dockerd"), shutil.which("unshare")) or os.geteuid() != 0:
        pytest.skip("dockerd, unshare and root are wanted")
    folder = Path(tempfile.mkdtemp(prefix="sd-"))  # a socket's path may have 107 letters
    daemon = OwnDaemon(children, folder)
    yield daemon
    if daemon.child:
        daemon.child.stop(60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_address(own: OwnDaemon) -> Iterator[str]:
    """Over a tunnel: the SDK leaves a unix socket that refuses to the garbage collection, which the tests would see."""
    with Tunnel(own.socket) as tunnel:
        yield tunnel.address


@pytest.mark.fault(40)
async def test_a_daemon_that_is_stopped_takes_containers_along_and_the_runs_come_back(
    own: OwnDaemon, own_address: str, pool: str, image_tar: bytes
):
    own.start()
    with docker.APIClient(own_address, version="auto") as client:
        client.import_image_from_data(image_tar, repository="box", tag="1")
    kind, said = docker_type(pool, own_address)
    await kind.open()
    variables = {"image": "box:1", "network_mode": "none"}
    run = hand_off(command="trap 'exit 143' TERM; echo ready; while :; do sleep 0.1; done", job_variables=variables)
    infrastructure = await kind.start(run)
    watching = asyncio.get_running_loop().create_task(kind.watch(run, infrastructure))
    await wait_until(lambda: "ready" in said.texts, description="it runs", timeout=60)
    await asyncio.to_thread(own.child.stop, 60)
    await wait_until(lambda: not kind.is_well(), description="the worker knows", timeout=60)
    await asyncio.to_thread(own.start)
    outcome = await asyncio.wait_for(watching, 60)
    assert outcome.outcome == "lost", outcome
    assert b"while the Docker daemon was away" in outcome.result
    await wait_until(kind.is_well, description="the worker knows that it is back", timeout=60)
    again = hand_off(2, run.id, command="echo again", job_variables=variables)
    infrastructure = await kind.start(again)
    assert (await kind.watch(again, infrastructure)).outcome == "completed"
    await kind.forget(again)
    await kind.forget(run)
    await kind.close()
