"""Images: pull policies and credentials, against a registry on loopback that wants a password."""

import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatcher import Client, RunFailed
from dispatcher.job_template import template_of
from dispatcher.models import RetryPolicy
from tests.support.containers import Said, docker_type, hand_off
from tests.support.processes import Child, Children
from tests.support.waiting import wait_until, wait_until_sync
from workers.contract import CannotStart
from workers.docker import DockerConfiguration, DockerWorker

pytestmark = pytest.mark.docker
USER, PASSWORD = "reader", "a password"
# bcrypt, the only hash that the registry takes; Python has none of its own.
HASHED = "$2b$05$/vjtjU0J9zIaijVh8vigyeMhsktxCkBEW5wEcPpBdiUYiAW248r/m"
SETTINGS = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: tests, path: {folder}/users}}}}
"""
OWNER = {"username": USER, "password": PASSWORD}


class Registry:
    """Debian's docker-registry, with one user and images of the tests."""

    def __init__(self, children: Children, folder: Path, engine: Any) -> None:
        self._children, self._folder, self._engine = children, folder, engine
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / "users").write_text(f"{USER}:{HASHED}\n")
        (folder / "settings.yml").write_text(SETTINGS.format(folder=folder, port=self.port))
        self.child: Child | None = None

    def start(self) -> None:
        self.child = self._children.start("docker-registry", "serve", self._folder / "settings.yml")
        wait_until_sync(self._answers, description="the registry answers", timeout=30)

    def stop(self) -> None:
        assert self.child
        self.child.kill()

    def push(self, image: str, tag: str) -> str:
        """Put a local image into the registry; it is not on the daemon under that name then."""
        name = f"127.0.0.1:{self.port}/tests/box"
        self._engine.tag(image, name, tag)
        said = list(self._engine.push(name, tag, auth_config=OWNER, stream=True, decode=True))
        assert not [part for part in said if "error" in part], said
        self._engine.remove_image(f"{name}:{tag}")
        return f"{name}:{tag}"

    def forget(self) -> None:
        """Take what was pulled off the daemon."""
        for found in set(self._engine.images(f"127.0.0.1:{self.port}/tests/box", quiet=True)):
            self._engine.remove_image(found, force=True)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=2)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            return False
        return True


@pytest.fixture
def registry(children: Children, tmp_path: Path, engine: Any) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is wanted on PATH (Debian: docker-registry)")
    registry = Registry(children, tmp_path, engine)
    registry.start()
    yield registry
    registry.forget()


@pytest.fixture
async def opened(pool: str, engine: Any) -> Any:
    kind, said = docker_type(pool)
    await kind.open()
    yield kind, said
    await kind.close()


async def executed(opened: tuple[DockerWorker, Said], retries: int = 0, **variables: Any) -> list[str]:
    """What a command says in this image; CannotStart where it cannot be had."""
    kind, said = opened
    said.lines.clear()
    retry = RetryPolicy(retries=retries)
    run = hand_off(command=["cat", "/which"], job_variables=variables, retry=retry)
    infrastructure = await kind.start(run)
    await kind.watch(run, infrastructure)
    await kind.forget(run)
    return said.texts


async def refused(opened: tuple[DockerWorker, Said], retries: int = 0, **variables: Any) -> tuple[str, str, str]:
    with pytest.raises(CannotStart) as found:
        await executed(opened, retries, **variables)
    outcome = found.value.outcome
    return outcome.outcome, outcome.argument, outcome.result.decode(errors="replace")


def marked(engine: Any, image: str, word: str, name: str) -> str:
    """An image that says which it is."""
    made = engine.create_container(image, ["sh", "-c", f"echo {word} > /which"])["Id"]
    engine.start(made)
    engine.wait(made)
    found = engine.commit(made, repository=name, tag=word)["Id"]
    engine.remove_container(made)
    return str(found)


@pytest.fixture
def versions(engine: Any, image: str, pool: str) -> Iterator[dict[str, str]]:
    yield {word: marked(engine, image, word, pool) for word in ("old", "new")}
    for word in ("old", "new"):
        engine.remove_image(f"{pool}:{word}", force=True)


async def test_policies(opened: Any, registry: Registry, versions: dict[str, str]):
    image = registry.push(versions["old"], "1")
    assert (await refused(opened, image=image, image_pull_policy="never"))[:2] == ("failed", "image_missing")
    credentials = {"registry_credentials": OWNER}
    assert await executed(opened, image=image, **credentials) == ["old"]
    registry.push(versions["new"], "1")
    assert await executed(opened, image=image, image_pull_policy="if_not_present", **credentials) == ["new"]
    registry.stop()
    assert await executed(opened, image=image, image_pull_policy="if_not_present", **credentials) == ["new"]
    assert await executed(opened, image=image, image_pull_policy="if_possible", **credentials) == ["new"]
    assert await executed(opened, image=image, image_pull_policy="never") == ["new"]
    outcome, reason, text = await refused(opened, image=image, image_pull_policy="always", **credentials)
    assert (outcome, reason) == ("failed", "image_missing")
    assert "connection refused" in text
    assert (await refused(opened, 2, image=image, image_pull_policy="always", **credentials))[0] == "retry"


async def test_always_brings_what_is_new(opened: Any, registry: Registry, versions: dict[str, str], engine: Any):
    image = registry.push(versions["old"], "latest")
    assert await executed(opened, image=image, registry_credentials=OWNER) == ["old"]
    repository, _, tag = image.rpartition(":")
    registry.push(versions["new"], tag)
    engine.tag(versions["old"], repository, tag)
    assert await executed(opened, image=image, image_pull_policy="if_not_present") == ["old"]
    assert await executed(opened, image=image, registry_credentials=OWNER) == ["new"]


async def test_what_the_registry_says_no_to_is_told(opened: Any, registry: Registry, versions: dict[str, str]):
    image = registry.push(versions["old"], "1")
    wrong = {"username": USER, "password": "another password"}
    for credentials in ({}, {"registry_credentials": wrong}):
        outcome, reason, text = await refused(opened, 2, image=image, **credentials)
        assert (outcome, reason) == ("failed", "registry_denied"), text
        assert "another password" not in text
    missing = image.replace("box", "no-such-box")
    outcome, reason, text = await refused(opened, 2, image=missing, registry_credentials=OWNER)
    assert (outcome, reason) == ("failed", "image_missing"), text
    assert missing in text
    outcome, reason, _ = await refused(opened, 2, image="Not A Name")
    assert (outcome, reason) == ("failed", "container_refused")


@pytest.mark.parametrize("whole", [False, True], ids=["two secrets", "one secret"])
async def test_credentials_by_reference(
    client: Client, worker: Any, registry: Registry, versions: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    whole: bool, containers: Any, engine: Any,
):  # fmt: skip
    image = registry.push(versions["old"], "1")
    monkeypatch.setenv("REGISTRY_PASSWORD", json.dumps(OWNER) if whole else PASSWORD)
    reference = {"secretRef": "env:REGISTRY_PASSWORD"}
    credentials = reference if whole else {"username": USER, "password": reference}
    variables = {"image": image, "registry_credentials": credentials, "auto_remove": False}
    run = await client.publish(command=["true"], job_variables=variables)
    with pytest.raises(RunFailed, match="allows no secret"):
        await client.result(run, 60)
    await client.pools.set_template(
        client.pool, {**template_of(DockerConfiguration), "secrets": {"allow": ["env:REGISTRY_*"]}}
    )

    async def is_allowed() -> bool:
        run = await client.publish(command=["true"], job_variables=variables)
        try:
            return await client.result(run, 60) is None
        except RunFailed as error:
            assert "allows no secret" in str(error), error
            return False

    await wait_until(is_allowed, description="the worker has read the template", timeout=40)
    (container,) = containers()
    assert PASSWORD not in json.dumps(engine.inspect_container(container["Id"]))
