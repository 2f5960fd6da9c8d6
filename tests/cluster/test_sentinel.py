"""The server is found by sentinels, and found again when another one becomes the master."""

from collections.abc import AsyncIterator

import pytest

from dispatcher import Client
from dispatcher.errors import ServerUnreachable
from tests.support.stack import PROGRAMS, Stack, running
from tests.support.topologies import Sentinel, Trio
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


async def test_a_server_that_is_named_and_is_no_master_is_not_believed(trio: Trio) -> None:
    """A sentinel that watches a replica as if it were a master."""
    mistaken = Sentinel(trio.replica, "stray")
    mistaken.start()
    try:
        async with Client(f"redis+sentinel://127.0.0.1:{mistaken.port}/stray") as client:
            with pytest.raises(ServerUnreachable, match="says that it is a replica"):
                await client.pools.list()
    finally:
        mistaken.close()


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("redis+sentinel://127.0.0.1:{sentinel}/other", "no sentinel names a master of 'other'"),
        ("redis+sentinel://127.0.0.1:{server}/sluice", "no sentinel names a master"),
        ("redis+cluster://127.0.0.1:{server}", "cluster support disabled"),
    ],
)
async def test_an_address_that_leads_elsewhere_is_answered(trio: Trio, form: str, why: str) -> None:
    url = form.format(sentinel=trio.sentinels[0].port, server=trio.master.port)
    async with Client(url) as client:
        with pytest.raises(ServerUnreachable, match=why):
            await client.pools.list()


async def test_runs_go_through_sentinels(stack: Stack, witness: Witness, functions: Functions) -> None:
    await stack.dispatcher()
    await stack.scheduler()
    await stack.worker(functions)
    runs = [await stack.client.publish("work", {"name": f"r{n}"}, delay=0.05 * n) for n in range(3)]
    await stack.completed(runs)
    witness.exactly_once({"r0", "r1", "r2"})
