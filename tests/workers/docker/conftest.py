"""Fixtures of the docker worker's tests: a real daemon, a small image, a pool, and what is left behind goes."""

import io
import shutil
import sys
import tarfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError

from dispatcher import Client
from tests.support.docker import DockerEngine
from tests.support.stack import Stack
from tests.support.waiting import wait_until_sync
from workers import Worker
from workers.docker import DockerWorker

ROOT = Path(__file__).resolve().parents[3]
APPLETS = (
    "sh",
    "echo",
    "sleep",
    "cat",
    "env",
    "ls",
    "true",
    "false",
    "id",
    "pwd",
    "yes",
    "head",
    "df",
    "hostname",
    "dd",
)


@pytest.fixture(scope="session")
def engine(docker_engine: DockerEngine) -> Iterator[docker.APIClient]:
    """The daemon, by its API."""
    with docker.APIClient(**docker.utils.kwargs_from_env(), version="auto") as client:
        yield client


def busybox_tar() -> bytes:
    """A root file system of one static busybox."""
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("a static busybox is wanted on PATH (Debian: busybox-static)")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for folder in ("bin", "tmp", "etc", "proc", "dev"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        tar.add(found, "bin/busybox")
        for name in APPLETS:
            info = tarfile.TarInfo(f"bin/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
    return made.getvalue()


@pytest.fixture(scope="session")
def image_tar() -> bytes:
    """The root file system of the small image."""
    return busybox_tar()


@pytest.fixture(scope="session")
def image(engine: docker.APIClient, image_tar: bytes) -> Iterator[str]:
    """An image with a shell, gone after the tests."""
    name = f"sluice-test-{uuid.uuid4().hex[:8]}:1"
    engine.import_image_from_data(image_tar, repository=name.partition(":")[0], tag="1")
    yield name
    engine.remove_image(name, force=True)


@pytest.fixture
def pool(engine: docker.APIClient) -> Iterator[str]:
    """A name that no other test has; containers with it as their pool are gone after the test."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name

    def is_empty() -> bool:
        left = engine.containers(all=True, filters={"label": f"sluice.pool={name}"})
        for container in left:
            with suppress(APIError):  # its worker may be removing it
                engine.remove_container(container["Id"], force=True, v=True)
        return not left

    wait_until_sync(is_empty, description="its containers are gone", timeout=60, interval=0.05)


@pytest.fixture
async def client(redis_url: str, stack: Stack, pool: str) -> AsyncIterator[Client]:
    """A client of a pool of containers."""
    await stack.client.pools.create(pool, type="docker")
    async with Client(redis_url, pool=pool) as client:
        yield client


@pytest.fixture
async def worker(stack: Stack, client: Client, engine: docker.APIClient) -> Worker:
    """A docker worker of that pool."""
    return await stack.worker(DockerWorker(), pool=client.pool, limit=8, cancel_grace=2.0, lease=30)


@pytest.fixture
def containers(engine: docker.APIClient, pool: str) -> Callable[[], list[dict[str, Any]]]:
    """The pool's containers, running or not."""
    return lambda: engine.containers(all=True, filters={"label": f"sluice.pool={pool}"})


@pytest.fixture(scope="session")
def sluice_inside() -> dict[str, Any]:
    """Job variables that put this Python and this Sluice into a container of the small image."""
    folders = {"/usr", "/etc", "/lib", "/lib64", sys.prefix, sys.base_prefix, str(ROOT)}
    return {
        "volumes": [f"{folder}:{folder}:ro" for folder in sorted(folders) if Path(folder).exists()],
        "env": {"PATH": f"{sys.prefix}/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        "working_dir": str(ROOT / "tests" / "support" / "programs"),
    }


@pytest.fixture
def stacked() -> Iterator[ExitStack]:
    """What is entered here is left after the test."""
    with ExitStack() as entered:
        yield entered
