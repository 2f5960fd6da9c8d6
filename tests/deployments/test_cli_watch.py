"""`sluice deployment` in a terminal: a run that is watched to its end, and a question before something is deleted."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from dispatcher.deployments import read_deployment
from tests.support.stack import Stack
from tests.support.terminals import Screen, in_terminal
from workers import Functions

PROGRAM = "from dispatcher.cli import main; main()"


@pytest.fixture
def terminal(tmp_path: Path, redis_url: str) -> Callable[..., Screen]:
    """Run a command in a pseudo-terminal."""

    def run(*words: str, answers: tuple[tuple[str, str], ...] = ()) -> Screen:
        command = [sys.executable, "-P", "-c", PROGRAM, *words]
        return in_terminal(command, cwd=tmp_path, env={"SLUICE_REDIS_URL": redis_url}, answers=answers)

    return run


@pytest.fixture
async def deployed(stack: Stack) -> Stack:
    functions = Functions()

    @functions.register
    async def double(n: int) -> int:
        return 2 * n

    @functions.register
    async def fail() -> None:
        raise RuntimeError("no luck")

    await stack.worker(functions)
    for name in ("double", "fail"):
        await stack.client.deployments.put(read_deployment({"name": name, "function": name}))
    return stack


async def test_a_run_is_watched_to_its_end(deployed: Stack, terminal: Callable[..., Screen]) -> None:
    shown = await anyio.to_thread.run_sync(
        partial(terminal, "deployment", "run", "double", "--param", "n=21", "--watch")
    )
    (run,) = await deployed.client.list()
    assert shown.code == 0
    assert run.id in shown.text
    assert shown.text.rstrip().endswith("42")
    assert (run.spec.deployment, run.result) == ("double", 42)


async def test_its_exit_code_says_how_it_ended(deployed: Stack, terminal: Callable[..., Screen]) -> None:
    shown = await anyio.to_thread.run_sync(partial(terminal, "deployment", "run", "fail", "--watch"))
    assert shown.code == 10
    assert "no luck" in shown.text


async def test_deleting_asks(deployed: Stack, terminal: Callable[..., Screen]) -> None:
    words = ("deployment", "delete", "double")
    refused = await anyio.to_thread.run_sync(partial(terminal, *words, answers=(("Type yes", "no\n"),)))
    assert (refused.code != 0, "nothing was changed" in refused.text) == (True, True)
    assert len(await deployed.client.deployments.list()) == 2
    done = await anyio.to_thread.run_sync(partial(terminal, *words, answers=(("Type yes", "yes\n"),)))
    assert done.code == 0
    assert [stored.name for stored in await deployed.client.deployments.list()] == ["fail"]
