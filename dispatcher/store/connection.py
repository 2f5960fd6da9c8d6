"""Connections to Redis, in profiles, and what a server must be like.

commands   reads. Retried; gives up after about 10 s.
calls      scripts, over one connection, retried: every script can be sent twice. Waits CALL_SECONDS for an answer.
turns      a worker's turns: as calls, but its loop decides when to say it again.
blocking   finite BLOCK and a socket timeout above it; redis-py's defaults would abandon a read and lose its reply.
heartbeat  a thread's own, short timeout, no retry: late news of a lease is no news.
durable    publishes that wait for the disk or a replica, each over a connection of its own meanwhile.
observing  a thread's own, short timeout, one retry: a connection that was closed meanwhile is no outage.
"""

from functools import partial
from typing import Any

from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from ..addresses import read_address
from ..errors import (
    CredentialsRefused,
    EncryptionRefused,
    ScriptsMissing,
    ServerError,
    ServerFull,
    ServerUnfit,
    ServerUnreachable,
)
from ..redaction import hide_passwords
from .cluster import Routed
from .cluster_blocking import BlockingRouted
from .cluster_reads import RoutedReads
from .encryption import encryption_fault, perhaps
from .opening import open_blocking_server, open_server
from .sentinels import AWAY, first_word, follow, follow_blocking

BLOCK_MS = 2000
CALL_SECONDS = 5
READ_SECONDS = BLOCK_MS / 1000 + 3
# Answers of a server that is not, or not yet, the one to be asked; MISCONF stays until somebody clears the disk.
_PASSING = AWAY - {"MISCONF"} | {"CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK"}
_LEAST_REDIS, _LEAST_VALKEY = (7, 0), (7, 2)


def commands(url: str) -> Any:
    """A client for reads."""
    return _open(url, socket_timeout=5, socket_connect_timeout=3, retry=_patient())


def calls(url: str) -> Any:
    """A client for scripts, one at a time."""
    return _single(url, _patient())


def turns(url: str) -> Any:
    """A client for a worker's turns. The write leaves before anything else runs: what it starts overlaps the call."""
    return _single(url, AsyncRetry(NoBackoff(), 0))


def blocking(url: str) -> Any:
    """A client for one reader that waits up to BLOCK_MS at a time; `Link.read` sets the timeout above it."""
    if is_spread(url):
        reads = _open(url, socket_timeout=None, socket_connect_timeout=3, retry=AsyncRetry(NoBackoff(), 0))
        return RoutedReads(reads, READ_SECONDS)
    return _single(url, AsyncRetry(NoBackoff(), 0))


def is_spread(url: str) -> bool:
    """Whether pools are on several masters, so that one may be away while others are there."""
    return read_address(url).kind == "cluster"


async def masters(client: Any, url: str) -> dict[str, Any]:
    """Clients of all masters there are, by address as it may be shown."""
    if isinstance(client, Routed):
        return dict(await client.members.masters())
    return {hide_passwords(url): client}


async def place(client: Any, key: str) -> str:
    """Which of several masters has a key, '' where there is one."""
    return await client.owner_of(key) if isinstance(client, Routed) else ""


def _single(url: str, retry: AsyncRetry) -> Any:
    """One connection. No socket timeout: redis-py pays a task for it on each write; the link bounds each call."""
    return _open(url, socket_timeout=None, socket_connect_timeout=3, retry=retry, single_connection_client=True)


def _open(url: str, **settings: Any) -> Any:
    """A client as the kind of address wants it."""
    address = read_address(url)
    if address.kind == "sentinel":
        return follow(address, **settings)
    if address.kind == "cluster":
        retry = settings.pop("retry")
        return Routed(address, partial(open_server, retry=AsyncRetry(NoBackoff(), 0), **settings), retry)
    return open_server(url, **settings)


def _open_blocking(url: str, **settings: Any) -> Any:
    """The same for a thread."""
    address = read_address(url)
    if address.kind == "sentinel":
        return follow_blocking(address, **settings)
    if address.kind == "cluster":
        retry = settings.pop("retry")
        return BlockingRouted(address, partial(open_blocking_server, retry=Retry(NoBackoff(), 0), **settings), retry)
    return open_blocking_server(url, **settings)


def _patient() -> AsyncRetry:
    return AsyncRetry(ExponentialWithJitterBackoff(base=0.02, cap=1), retries=6)


def durable(url: str) -> Any:
    """A client for publishes that wait on the server; whoever sends them bounds the time."""
    return _open(url, socket_timeout=None, socket_connect_timeout=3, retry=_patient())


def heartbeats(url: str, lease_seconds: float) -> Any:
    """A thread's client for heartbeats."""
    timeout = max(0.2, lease_seconds / 6)
    return _open_blocking(url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0))


def observing(url: str) -> Any:
    """A thread's client for reading what is shown to people and monitoring."""
    return _open_blocking(url, socket_timeout=1.5, socket_connect_timeout=1.5, retry=Retry(NoBackoff(), 1))


def server_error(url: str, error: Exception) -> ServerError:
    """What a client's exception means for people."""
    shown = hide_passwords(url)
    if isinstance(error, AuthenticationError | NoPermissionError):
        return CredentialsRefused(f"the server at {shown} refuses these credentials ({error}): check SLUICE_REDIS_URL")
    if isinstance(error, NoScriptError):
        return ScriptsMissing(shown)
    if isinstance(error, OutOfMemoryError):
        return ServerFull(shown, str(error))
    if isinstance(error, ResponseError) and first_word(error) not in _PASSING:
        return ServerUnfit(f"the server at {shown} refused a call: {error}")
    if why := encryption_fault(error):
        return EncryptionRefused(shown, why)
    said = str(error) or type(error).__name__
    return ServerUnreachable(shown, said + perhaps(url, said))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


def unfit_version(info: dict[str, Any]) -> str | None:
    """Why the server is too old, or None."""
    valkey = info.get("valkey_version")
    if valkey:
        return None if _version(valkey) >= _LEAST_VALKEY else f"Valkey {valkey} is too old, 7.2 is the least"
    found = str(info.get("redis_version", "0.0"))
    return None if _version(found) >= _LEAST_REDIS else f"Redis {found} is too old, 7.0 is the least"


async def check_server(client: Any, url: str) -> list[str]:
    """Raise ServerError where the server must not be used; return warnings where it should be set otherwise."""
    try:
        found = [await _check(node, shown) for shown, node in (await masters(client, url)).items()]
    except (RedisError, OSError) as error:
        raise server_error(url, error) from error
    return list(dict.fromkeys(warning for warnings in found for warning in warnings))


async def check_writes(client: Any, url: str) -> None:
    """Raise ServerUnfit while a server refuses writes for want of disk: it answers, and so do reads."""
    try:
        found = {shown: await node.info("persistence") for shown, node in (await masters(client, url)).items()}
    except (RedisError, OSError) as error:
        raise server_error(url, error) from error
    for shown, info in found.items():
        if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
            raise ServerUnfit(f"the server at {shown} cannot write its append-only file: is its disk full?")


async def _check(client: Any, shown: str) -> list[str]:
    info: dict[str, Any] = await client.info("server")
    memory: dict[str, Any] = await client.info("memory")
    persistence: dict[str, Any] = await client.info("persistence")
    if why := unfit_version(info):
        raise ServerUnfit(f"the server at {shown}: {why}")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise ServerUnfit(
            f"the server at {shown} evicts keys when memory is short (maxmemory-policy {policy}) and would lose runs: "
            "`CONFIG SET maxmemory-policy noeviction`, or use a server of its own"
        )
    if not persistence.get("aof_enabled"):
        return ["no append-only file: a restart of the server loses runs; set `appendonly yes`"]
    return []
