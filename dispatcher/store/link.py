"""What all stores share: the clients, script calls, and exceptions in our words."""

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import anyio
from redis.exceptions import NoScriptError, RedisError

from .. import keys, scripts
from ..clock import Clock, SystemClock
from ..errors import ServerSilent, SluiceError
from ..redaction import hide_passwords
from . import connection

Entry = tuple[bytes, dict[bytes, bytes]]
# A dispatcher looks each second whether the server knows its scripts, and loads what it does not.
_UNTIL_LOADED = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
root_of = lru_cache(maxsize=1024)(keys.root)


class Link:
    """One process's way to one server. Scripts take the server's clock unless `now_ms` is set by a test.

    The clients are Any: redis-py's types are unions over all its settings, ours always answer with bytes.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = connection.commands(url)
        self.calls: Any = connection.calls(url)
        self.turns: Any = connection.turns(url)
        self.blocking: Any = connection.blocking(url)
        self.durable: Any = connection.durable(url)
        self.now_ms = 0
        self._clock = SystemClock()

    async def check(self) -> list[str]:
        """Raise ServerError where the server must not be used; return warnings."""
        return await connection.check_server(self.client, self.url)

    async def masters(self) -> dict[str, Any]:
        """Clients of all masters that have keys, by address as it may be shown: one, or those of a cluster.

        Raises ServerError.
        """
        try:
            return await connection.masters(self.client, self.url)
        except (RedisError, OSError) as error:
            raise self.error(error) from error

    async def place(self, pool: str) -> str:
        """Which of several masters has a pool, '' where there is one. Raises ServerError."""
        try:
            return await connection.place(self.client, root_of(pool))
        except (RedisError, OSError) as error:
            raise self.error(error) from error

    async def check_writes(self) -> None:
        """Raise ServerError while the server takes no writes, though it may answer."""
        await connection.check_writes(self.client, self.url)

    async def ahead_seconds(self, clock: Clock) -> float:
        """By how much our own clock is ahead of the server's, to within half a round trip; raises ServerError."""
        before = clock.now_ms()
        try:
            seconds, micros = await self.client.time()
        except (RedisError, OSError) as error:
            raise self.error(error) from error
        return float((before + clock.now_ms()) / 2000 - seconds - micros / 1_000_000)

    async def call(self, script: str, pool: str, *args: scripts.Argument) -> Any:
        """Run a script in a pool; raises ServerError. Sent a second time when no answer came in CALL_SECONDS."""
        found = scripts.load(script)
        try:
            return await self.run(found, self.calls, pool, *args)
        except ServerSilent:
            return await self.run(found, self.calls, pool, *args)

    async def run(self, script: scripts.Script, client: Any, pool: str, *args: scripts.Argument) -> Any:
        """Run a script once over one of the clients; raises ServerError, ServerSilent after CALL_SECONDS."""
        try:
            async with asyncio.timeout(connection.CALL_SECONDS):
                try:
                    return await script.run(client, root_of(pool), *args)
                except NoScriptError:
                    return await self._once_loaded(script, client, pool, *args)
        except TimeoutError as error:
            raise ServerSilent(hide_passwords(self.url), f"silent for {connection.CALL_SECONDS} s") from error
        except (RedisError, OSError) as error:
            raise self.error(error) from error

    async def _once_loaded(self, script: scripts.Script, client: Any, pool: str, *args: scripts.Argument) -> Any:
        """Run a script that this user may not load, when somebody else has."""
        *pauses, last = _UNTIL_LOADED
        for pause in pauses:
            await self._clock.sleep(pause)
            try:
                return await script.call(client, root_of(pool), *args)
            except NoScriptError:
                continue
        await self._clock.sleep(last)
        return await script.call(client, root_of(pool), *args)

    async def load_scripts(self) -> list[str]:
        """Load those that the server does not know, and return their names; raises ServerError."""
        known = [scripts.load(name) for name in scripts.names()]
        try:
            there: list[bool] = await self.client.script_exists(*(script.sha for script in known))
            missing = [script for script, is_there in zip(known, there, strict=True) if not is_there]
            for script in missing:
                await self.client.script_load(script.text)
        except (RedisError, OSError) as error:
            raise self.error(error) from error
        return [script.name for script in missing]

    async def execute(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Commands that read or write one value each, in one round trip, not at one moment; raises ServerError."""
        wanted = list(commands)
        if not wanted:
            return []
        try:
            async with self.client.pipeline(transaction=False) as pipe:
                for command in wanted:
                    pipe.execute_command(*command)
                rows: list[Any] = await pipe.execute()
        except (RedisError, OSError) as error:
            raise self.error(error) from error
        return rows

    async def read(self, streams: dict[str, str], count: int | None = None) -> list[tuple[str, list[Entry]]]:
        """Entries after those given (stream -> entry id), waiting up to BLOCK_MS for one; raises ServerError.

        `count`: at most so many of each stream.

        One reader at a time. A read that takes longer than it may is abandoned with its connection.
        """
        try:
            async with asyncio.timeout(connection.READ_SECONDS):
                reply: Any = await self.blocking.xread(dict(streams), count=count, block=connection.BLOCK_MS)
        except (RedisError, OSError) as error:
            raise self.error(error) from error
        rows = reply.items() if isinstance(reply, dict) else reply or ()
        return [(name.decode(), _entries(entries)) for name, entries in rows]

    def error(self, error: Exception) -> SluiceError:
        """A client's exception as ours."""
        return connection.server_error(self.url, error)

    async def close(self) -> None:
        """Close all connections, also when the caller is being cancelled."""
        with anyio.CancelScope(shield=True):
            for client in (self.client, self.calls, self.turns, self.blocking, self.durable):
                await client.aclose()


def _entries(entries: Any) -> list[Entry]:
    """XREAD's entries, whichever protocol: RESP3 wraps them once more."""
    if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], tuple | list):
        return [entry for chunk in entries for entry in chunk]
    return list(entries)
