"""Pools of the model, with an audit that looks on."""

from collections.abc import Callable, Iterator

import pytest
import redis

from dispatcher.scripts import Script, load
from tests.audit.audited import AuditedPair
from tests.model.engine import Engine
from tests.support.servers import Server


@pytest.fixture
def client(server: Server) -> "Iterator[redis.Redis]":
    """A connection that answers in bytes."""
    with redis.Redis(unix_socket_path=str(server.socket)) as connection:
        yield connection


@pytest.fixture
def new_audited(client: "redis.Redis") -> Callable[..., AuditedPair]:
    """Make an empty pool that is audited after each call."""

    def make(scripts: Callable[[str], Script] = load) -> AuditedPair:
        client.flushall()
        return AuditedPair(Engine(client, "m", scripts))

    return make
