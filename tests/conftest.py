"""Fixtures for every test: real servers, children that end, one event loop backend."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.docker import DockerEngine, answering_engine
from tests.support.figures import Figures, numbers_of, select
from tests.support.processes import Children
from tests.support.servers import Kind, Server
from tests.support.stack import Stack, running
from tests.support.witness import Witness


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options about faults, see support/figures.py."""
    parser.addoption("--fault", type=int, action="append", default=[], help="only tests of this fault; repeatable")
    parser.addoption("--figures", default=None, metavar="FILE", help="append what tests measure, a line of JSON each")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the faults that were asked for."""
    if wanted := config.getoption("fault"):
        items[:], others = select(items, wanted)
        config.hook.pytest_deselected(items=others)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where a test notes what it measured."""
    path = request.config.getoption("figures")
    return Figures(numbers_of(request.node), str(Path(request.config.invocation_params.dir, path)) if path else None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio is what Sluice runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Callable[[Kind], Server]]:
    """One server of each kind for the whole run (each xdist worker is a run of its own), started when first asked."""
    servers: dict[Kind, Server] = {}
    with ExitStack() as stack:

        def get(kind: Kind) -> Server:
            if kind not in servers:
                servers[kind] = stack.enter_context(Server(kind))
            return servers[kind]

        yield get


@pytest.fixture
def server(request: pytest.FixtureRequest, shared_server: Callable[[Kind], Server]) -> Server:
    """The shared server, empty. `parametrize("server", EVERY_KIND, indirect=True)` chooses; the default is Valkey."""
    chosen = shared_server(getattr(request, "param", "valkey"))
    chosen.flush()
    return chosen


@pytest.fixture
def redis_url(server: Server) -> str:
    """The address of an empty server."""
    return server.url


@pytest.fixture
def new_server() -> Iterator[Callable[..., Server]]:
    """Start servers for this test alone, to be frozen, killed, filled: `new_server("redis", aof=True)`."""
    with ExitStack() as stack:

        def start(kind: Kind = "valkey", *, aof: bool = False, settings: Mapping[str, str] | None = None) -> Server:
            return stack.enter_context(Server(kind, aof=aof, settings=settings))

        yield start


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Processes of this test; all of them have ended after it."""
    with Children(tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def docker_engine() -> DockerEngine:
    """The Docker engine of this machine; tests that ask for it have the mark `docker` and are skipped without one."""
    return answering_engine()


@pytest.fixture
async def stack(redis_url: str) -> AsyncIterator[Stack]:
    """Sluice on an empty server, with a pool `default`."""
    async with running(redis_url) as started:
        yield started


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Witness:
    """Where runs of this process and of its children write down that they began and ended."""
    witness = Witness(tmp_path / "witness.txt")
    for name, value in witness.environment.items():
        monkeypatch.setenv(name, value)
    return witness
