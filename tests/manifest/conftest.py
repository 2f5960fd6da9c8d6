"""Fixtures of the manifest tests."""

from collections.abc import AsyncIterator

import pytest

from dispatcher import Client


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    """A client of an empty server."""
    async with Client(redis_url) as opened:
        yield opened
