"""Publishers that are not Sluice: the examples, as their page says."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.support.stack import Stack
from workers import Functions

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "publishers"
Command = list[str | Path]


@pytest.fixture
def functions() -> Functions:
    known = Functions()

    @known.register
    async def add(a: int, b: int) -> int:
        return a + b

    return known


@pytest.fixture
def shell() -> Command:
    """The publisher for redis-cli."""
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not here")
    return [EXAMPLES / "redis-cli" / "publish.sh"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The publisher for Node, installed into a folder of its own."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "publish.mjs"):
        shutil.copy(EXAMPLES / "node" / name, folder)
    words = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier"]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot install ioredis here: no answer in time")
    if done.returncode:
        pytest.skip(f"npm cannot install ioredis here: {done.stderr[-300:]}")
    return ["node", folder / "publish.mjs"]


@pytest.fixture(params=[pytest.param("shell"), pytest.param("node", marks=pytest.mark.node)])
def publish(request: pytest.FixtureRequest, redis_url: str) -> Callable[[object], tuple[int, str, str]]:
    """Publish a document with one of the examples; exit code and output."""
    command: Command = request.getfixturevalue(request.param)

    def run(document: object) -> tuple[int, str, str]:
        done = subprocess.run(
            [*command, document if isinstance(document, str) else json.dumps(document)],
            env={**os.environ, "SLUICE_REDIS_URL": redis_url}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


async def test_an_example_publishes_and_waits(stack: Stack, functions: Functions, publish) -> None:
    await stack.dispatcher()
    await stack.worker(functions)
    document = {"function": "add", "parameters": {"a": 1, "b": 2}, "name": "ä 'quoted' $word\n"}
    code, said, errors = await anyio.to_thread.run_sync(publish, document)
    assert (code, errors) == (0, "")
    found = re.fullmatch(r"entry \d+-\d+\naccepted (\w{32})\nrun (\w{32}) completed\n", said)
    assert found, said
    assert found[1] == found[2]
    run = await stack.client.get(found[1])
    assert (run.result, run.spec.source, run.spec.name) == (3, "intake", document["name"])


async def test_an_example_says_how_a_run_failed(stack: Stack, functions: Functions, publish) -> None:
    await stack.dispatcher()
    await stack.worker(functions)
    document = {"function": "add", "parameters": {"a": 1, "b": "x"}}
    code, said, _ = await anyio.to_thread.run_sync(publish, document)
    assert code == 1
    assert said.endswith(" failed\n")


async def test_an_example_says_why_a_run_is_none(stack: Stack, publish) -> None:
    await stack.dispatcher()
    code, said, errors = await anyio.to_thread.run_sync(publish, '{"function": ')
    assert code == 1
    assert "rejected" in said
    assert "it is no JSON" in errors
