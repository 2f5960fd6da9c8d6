"""Following the master that sentinels name: each connection asks where it is, and each answer says whether it still is.

Asked again: whenever a connection is made, so after each lost one, and after an answer that only a server gives which
is no master, or not now (`AWAY`). Most of the sentinels must agree; where fewer answer, the latest election counts.
A new connection asks the server itself, too: one that was demoted is not believed. Sentinels tell an old master seconds
after they have promoted another; so what one connection of a process learns, all others to that address follow.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
import redis.asyncio as aredis
from anyio import to_thread
from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import ConnectionPool as AsyncConnectionPool
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, parse_url
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as LostError
from redis.retry import Retry

from .opening import open_blocking_server, surviving
from .replies import as_map, as_text

if TYPE_CHECKING:
    from ..addresses import Address, Host

AWAY = frozenset({"READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "UNBLOCKED", "LOADING"})
"""The first words of answers that another server, or this one later, would not give."""
_ASK_SECONDS = 1.0


class _Word(NamedTuple):
    """What a sentinel says: where the master is, by which election."""

    master: Host
    epoch: int


class Sentinels:
    """Those of an address. May be asked by several threads."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._hosts = address.hosts
        self.confirmed: Host | None = None
        """The last one that was named, and said that it is a master."""

    def master(self) -> Host:
        """Where the master is by now. Raises redis-py's ConnectionError when nobody knows."""
        words: list[_Word] = []
        faults: list[str] = []
        for host in self._hosts:
            try:
                words.append(self._ask(host))
            except AuthenticationError as error:
                raise AuthenticationError(f"the sentinel {_text(host)} refuses the login: {error}") from error
            except (RedisError, OSError) as error:
                faults.append(f"{_text(host)}: {error}")
                continue
            agreeing = sum(word.master == words[-1].master for word in words)
            if 2 * agreeing > len(self._hosts):
                return words[-1].master
        if not words:
            raise LostError(f"no sentinel names a master of {self._address.service!r}; {'; '.join(faults)}")
        return max(words, key=lambda word: word.epoch).master

    def _ask(self, host: Host) -> _Word:
        client = open_blocking_server(
            self._address.sentinel(*host),
            socket_timeout=_ASK_SECONDS,
            socket_connect_timeout=_ASK_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            found: Any = client.sentinel_master(self._address.service)
        finally:
            client.close()
        if found["is_sdown"] or found["is_odown"] or not found["is_master"]:
            raise LostError(f"it finds {found['ip']}:{found['port']} down")
        return _Word((str(found["ip"]), int(found["port"])), int(found.get("config-epoch", 0)))


@lru_cache(maxsize=64)
def _sentinels(address: Address) -> Sentinels:
    """One for all connections of this process to an address."""
    return Sentinels(address)


def follow(address: Address, *, single_connection_client: bool = False, **settings: Any) -> aredis.Redis:
    """A client of the master."""
    kwargs = _kwargs(address) | settings
    kwargs["connection_class"] = _AsyncEncrypted if address.scheme == "rediss" else _AsyncFollowing
    pool = surviving(AsyncConnectionPool(sentinels=_sentinels(address), **kwargs))
    client = aredis.Redis(connection_pool=pool, single_connection_client=single_connection_client)
    client.auto_close_connection_pool = True
    return client


def follow_blocking(address: Address, **settings: Any) -> redis.Redis:
    """A thread's client of the master."""
    kwargs = _kwargs(address) | settings
    kwargs["connection_class"] = _Encrypted if address.scheme == "rediss" else _Following
    client = redis.Redis(connection_pool=ConnectionPool(sentinels=_sentinels(address), **kwargs))
    client.auto_close_connection_pool = True
    return client


def _kwargs(address: Address) -> dict[str, Any]:
    return dict(parse_url(address.server(*address.hosts[0])))  # type: ignore[no-untyped-call]


class _AsyncFollowing(AsyncConnection):
    """A connection to the master there is when it connects, given up when another one connected elsewhere since."""

    _place: Host | None

    def __init__(self, *, sentinels: Sentinels, **settings: Any) -> None:
        self._sentinels, self._place = sentinels, None
        super().__init__(**settings)

    async def _connect(self) -> None:
        self._place = None
        self.host, self.port = await to_thread.run_sync(self._sentinels.master, abandon_on_cancel=True)
        await super()._connect()  # type: ignore[no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        await super().on_connect_check_health(check_health=check_health)
        await self.send_command("HELLO", check_health=False)
        with suppress(NoPermissionError):  # then the sentinels' word must do
            _check_role(await self.read_response(), f"{self.host}:{self.port}")
        self._place = self._sentinels.confirmed = (self.host, self.port)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - see above
        if self._place and self._place != self._sentinels.confirmed:
            self._place = None
            await self.disconnect()
        await super().send_packed_command(command, check_health)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if not is_away(error):
                raise
            await self.disconnect()
            raise LostError(f"{self.host}:{self.port} serves no more, or not now: {error}") from error


class _AsyncEncrypted(_AsyncFollowing, AsyncSSLConnection):
    """The same with TLS."""


class _Following(Connection):
    """The same for a thread."""

    _place: Host | None

    def __init__(self, *, sentinels: Sentinels, **settings: Any) -> None:
        self._sentinels, self._place = sentinels, None
        super().__init__(**settings)  # type: ignore[no-untyped-call]

    def _connect(self) -> Any:
        self._place = None
        self.host, self.port = self._sentinels.master()
        return super()._connect()  # type: ignore[no-untyped-call]

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        super().on_connect_check_health(check_health=check_health)
        self.send_command("HELLO", check_health=False)  # type: ignore[no-untyped-call]
        with suppress(NoPermissionError):
            _check_role(self.read_response(), f"{self.host}:{self.port}")
        self._place = self._sentinels.confirmed = (self.host, self.port)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - see above
        if self._place and self._place != self._sentinels.confirmed:
            self._place = None
            self.disconnect()  # type: ignore[no-untyped-call]
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            if not is_away(error):
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise LostError(f"{self.host}:{self.port} serves no more, or not now: {error}") from error


class _Encrypted(_Following, SSLConnection):
    """The same with TLS."""


def is_away(error: Exception) -> bool:
    """Whether this answer is one of AWAY."""
    return first_word(error) in AWAY


def first_word(error: Exception) -> str:
    """What a server's answer begins with; redis-py takes it off where it knows it."""
    return str(getattr(error, "status_code", None) or str(error).partition(" ")[0])


def _check_role(hello: Any, place: str) -> None:
    role = as_text(as_map(hello).get("role", "master"))
    if role != "master":
        raise LostError(f"{place} is named as the master and says that it is a {role}")


def _text(host: Host) -> str:
    return f"{host[0]}:{host[1]}"
