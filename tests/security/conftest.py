"""Servers with users, for the tests of what each may do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.access import Access
from tests.support.servers import Server

KINDS = [pytest.param("valkey"), pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(params=KINDS)
def access(request: pytest.FixtureRequest, new_server: Callable[..., Server], tmp_path: Path) -> Iterator[Access]:
    """A server with the users of `sluice acl`; worker, client and reader keep to the pool `default`."""
    made = Access(new_server, request.param, tmp_path, pools=["default"])
    yield made
    made.close()
