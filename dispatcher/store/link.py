"""What all stores share: the clients, script calls, and exceptions in our words."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from .. import keys, scripts
from ..errors import SluiceError
from . import connection

if TYPE_CHECKING:
    import redis.asyncio as aredis

root_of = lru_cache(maxsize=1024)(keys.root)


class Link:
    """One process's way to one server. Scripts take the server's clock unless `now_ms` is set by a test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: aredis.Redis = connection.commands(url)
        self.turns: aredis.Redis = connection.turns(url)
        self.blocking: aredis.Redis = connection.blocking(url)
        self.now_ms = 0

    async def check(self) -> list[str]:
        """Raise ServerError where the server must not be used; return warnings."""
        return await connection.check_server(self.client, self.url)

    async def call(self, script: str, pool: str, *args: scripts.Argument) -> Any:
        """Run a script in a pool; raises ServerError."""
        try:
            return await scripts.load(script).run(self.client, root_of(pool), *args)
        except (RedisError, OSError) as error:
            raise self.error(error) from error

    def error(self, error: Exception) -> SluiceError:
        """A client's exception as ours."""
        return connection.server_error(self.url, error)

    async def close(self) -> None:
        """Close all connections."""
        for client in (self.client, self.turns, self.blocking):
            await client.aclose()
