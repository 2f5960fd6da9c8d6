"""The server is found by sentinels, and found again when another one becomes the master."""

from collections.abc import AsyncIterator

import pytest

from tests.support.stack import PROGRAMS, Stack, running
from tests.support.topologies import Trio
from tests.support.witness import Witness
from workers import Functions
from workers.app import load_functions

pytestmark = pytest.mark.redis


@pytest.fixture
async def stack(trio: Trio) -> AsyncIterator[Stack]:
    async with running(trio.url) as stack:
        yield stack


@pytest.fixture
def functions() -> Functions:
    return load_functions("witnessing:functions", str(PROGRAMS))


async def test_runs_go_through_sentinels(stack: Stack, witness: Witness, functions: Functions) -> None:
    await stack.dispatcher()
    await stack.scheduler()
    await stack.worker(functions)
    runs = [await stack.client.publish("work", {"name": f"r{n}"}, delay=0.05 * n) for n in range(3)]
    await stack.completed(runs)
    witness.exactly_once({"r0", "r1", "r2"})
