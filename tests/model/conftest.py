"""Fixtures of the model's tests."""

from collections.abc import Callable, Iterator

import pytest
import redis

from tests.support.servers import Server

from .engine import Engine
from .pair import Pair


@pytest.fixture
def client(server: Server) -> Iterator["redis.Redis"]:
    """A blocking connection to the empty server."""
    connection = redis.Redis(unix_socket_path=str(server.socket))
    yield connection
    connection.close()


@pytest.fixture
def new_pair(client: "redis.Redis") -> Callable[..., Pair]:
    """Make a pool on the server, and the model beside it."""
    return lambda *args, **words: Pair(Engine(client, "m", *args, **words))
