"""One set of servers for all tests of a kind; each finds it whole and empty."""

from collections.abc import Iterator

import pytest

from tests.support.topologies import Trio, ask


@pytest.fixture(scope="session")
def shared_trio() -> Iterator[Trio]:
    with Trio() as trio:
        yield trio


@pytest.fixture
def trio(shared_trio: Trio) -> Trio:
    for server in shared_trio.servers:
        server.thaw()
        server.start()
    shared_trio.wait_until_whole()
    ask(shared_trio.master.port, "FLUSHALL")
    return shared_trio
