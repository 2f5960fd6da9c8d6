"""One set of servers for all tests of a kind; each finds it whole and empty."""

from collections.abc import Iterator

import pytest

from tests.support.topologies import Cluster, Trio, ask


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


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    for server in shared_cluster.servers:
        server.thaw()
        server.start()
    shared_cluster.wait_until_whole()
    for server in shared_cluster.masters():
        ask(server.port, "FLUSHALL")
    return shared_cluster
