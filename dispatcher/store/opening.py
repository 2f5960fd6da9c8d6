"""Opening clients: what an address and a profile's settings become. Each address of one server passes through here."""

from typing import Any

import redis
import redis.asyncio as aredis


def open_server(url: str, **settings: Any) -> aredis.Redis:
    """A client of one server."""
    return aredis.Redis.from_url(url, **settings)


def open_blocking_server(url: str, **settings: Any) -> redis.Redis:
    """A thread's client of one server."""
    return redis.Redis.from_url(url, **settings)
