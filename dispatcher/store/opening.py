"""Opening clients: what an address and a profile's settings become. Each address of one server passes through here."""

from asyncio import StreamWriter
from collections.abc import Iterable
from typing import Any

import redis
import redis.asyncio as aredis
from redis.asyncio.connection import ConnectionPool as AsyncConnectionPool
from redis.exceptions import ConnectionError as LostError

_CLOSED = "handler is closed"


def open_server(url: str, **settings: Any) -> aredis.Redis:
    """A client of one server."""
    client = aredis.Redis.from_url(url, **settings)
    surviving(client.connection_pool)
    return client


def open_blocking_server(url: str, **settings: Any) -> redis.Redis:
    """A thread's client of one server."""
    return redis.Redis.from_url(url, **settings)


def surviving(pool: AsyncConnectionPool) -> AsyncConnectionPool:
    """The same pool, whose connections say that they are lost when they were reset, whatever the event loop says.

    uvloop closes what was reset and then answers each write with a RuntimeError, which redis-py takes for a fault of
    the program: it is not tried again, and a service would end. Reads of such a connection end as they should.
    """
    kind = pool.connection_class
    pool.connection_class = type(kind.__name__, (_Surviving, kind), {})
    return pool


class _Surviving:
    """Goes before redis-py's class of a connection. Costs a command nothing: only its first step is another one."""

    _writer: StreamWriter

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[misc] # the class behind has it
        _tell_losses(self._writer)


def _tell_losses(writer: StreamWriter) -> None:
    """Put a function in the place of the writer's own that does the same, and says it in our words when it fails."""
    write = writer.transport.writelines

    def writelines(data: Iterable[bytes | bytearray | memoryview]) -> None:
        try:
            write(data)
        except RuntimeError as error:
            raise _lost(error) from error

    writer.writelines = writelines  # type: ignore[method-assign] # redis-py makes the writer


def _lost(error: RuntimeError) -> Exception:
    return LostError(f"the connection was reset: {error}") if _CLOSED in str(error) else error
