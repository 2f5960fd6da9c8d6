"""Reading pools as they are: one bounded script a pool, or a few for one with very many queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from .. import keys, scripts
from ..errors import InvalidInput, PoolNotFound, ServerUnfit
from ..snapshots import START_WITHIN_MS, PoolSnapshot, QueueSnapshot, WorkersSnapshot
from ..unpacking import unpack
from . import connection
from .link import Link, root_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import redis

    from ..clock import Clock
    from ..errors import SluiceError

AT_ONCE, MOST_QUEUES = 250, 2_000
MOST_POOLS = 64
_LONGEST_SECONDS = 5.0
_SECTIONS = ("server", "memory", "clients", "stats", "persistence", "commandstats")


class ServerSnapshot(NamedTuple):
    """A server and its pools, or the error that kept it from being read.

    `info` is that of INFO, empty where it may not be asked. `ahead_ms` is by how much our own clock is ahead.
    `unread` pools could not be read, or are beyond MOST_POOLS.
    """

    error: SluiceError | None
    info: Mapping[str, Any]
    unfit: str | None
    ahead_ms: float
    pools: tuple[PoolSnapshot, ...]
    unread: tuple[str, ...]


class SnapshotStore:
    """Snapshots over the connections of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def read(self, pool: str) -> PoolSnapshot:
        """The pool as it is now. Raises PoolNotFound, ServerError."""
        reading = _reading(pool)
        place = next(reading)
        while True:
            blob = await self._link.call("snapshot", pool, self._link.now_ms, place, AT_ONCE)
            try:
                place = reading.send(blob)
            except StopIteration as end:
                return _found(pool, end.value)


class ServerSnapshots:
    """Snapshots of a whole server, for a thread: a connection of its own, short timeouts. Not thread-safe."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._client: redis.Redis = connection.observing(url)
        self._url, self._clock = url, clock
        self._script = scripts.load("snapshot")

    def read(self) -> ServerSnapshot:
        """All pools of the catalogue, MOST_POOLS at most. Raises nothing: what could not be read is told."""
        try:
            return self._read()
        except (RedisError, OSError) as error:
            return ServerSnapshot(connection.server_error(self._url, error), {}, None, 0.0, (), ())

    def read_pool(self, name: str) -> PoolSnapshot:
        """One pool. Raises PoolNotFound, ServerError."""
        try:
            return self._pool(name)
        except (RedisError, OSError) as error:
            raise connection.server_error(self._url, error) from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _read(self) -> ServerSnapshot:
        ahead, info = self._ahead_ms(), self._info()
        reply: Any = self._client.smembers(keys.CATALOGUE)
        names = sorted(name.decode() for name in reply)
        end = self._clock.monotonic() + _LONGEST_SECONDS
        pools: list[PoolSnapshot] = []
        unread = names[MOST_POOLS:]
        for name in names[:MOST_POOLS]:
            try:
                if self._clock.monotonic() > end:
                    unread.append(name)
                else:
                    pools.append(self._pool(name))
            except PoolNotFound:
                continue  # the catalogue is a hint
            except AuthenticationError:
                raise
            except (ResponseError, ServerUnfit, InvalidInput):
                unread.append(name)
            except RedisError:
                if not connection.is_spread(self._url):
                    raise
                unread.append(name)  # its master is away, others are there
        unfit = connection.unfit_version(dict(info)) if info else None
        return ServerSnapshot(None, info, unfit, ahead, tuple(pools), tuple(unread))

    def _pool(self, name: str) -> PoolSnapshot:
        reading = _reading(name)
        place = next(reading)
        while True:
            blob = self._script.run_blocking(self._client, root_of(name), 0, place, AT_ONCE)
            try:
                place = reading.send(blob)
            except StopIteration as end:
                return _found(name, end.value)

    def _ahead_ms(self) -> float:
        before = self._clock.now_ms()
        reply: Any = self._client.time()
        return float((before + self._clock.now_ms()) / 2 - reply[0] * 1000 - reply[1] / 1000)

    def _info(self) -> dict[str, Any]:
        try:
            found: Any = self._client.info(*_SECTIONS)
        except NoPermissionError:
            return {}
        return dict(found)


def _found(pool: str, snapshot: PoolSnapshot | None) -> PoolSnapshot:
    if snapshot is None:
        raise PoolNotFound(pool)
    return snapshot


def _reading(pool: str) -> Generator[int, bytes, PoolSnapshot | None]:
    """Gives places to begin at, is sent what the script answered, and ends with the whole."""
    queues: list[QueueSnapshot] = []
    while True:
        blob = yield len(queues)
        if not blob:
            return None
        try:
            now, head, rows, workers = unpack(blob)
            queues += [_queue(row) for row in rows]
            if not rows or len(queues) >= min(head[7], MOST_QUEUES):
                return _pool(pool, now, head, tuple(queues), workers)
        except (ValueError, TypeError, LookupError, OverflowError) as error:  # somebody wrote into the pool's own keys
            raise ServerUnfit(f"the settings of pool {pool!r} cannot be read: {error}") from error


def _pool(name: str, now: int, head: list[Any], queues: tuple[QueueSnapshot, ...], workers: list[Any]) -> PoolSnapshot:
    kind, limit, paused, held, dead, orphaned, sweeps, _, queued, scheduled, capacity = head
    return PoolSnapshot(
        name=name, type=kind, now_ms=int(now), limit=_number(limit), paused=paused, held=held, scheduled=int(scheduled),
        queued=int(queued), dead=dead, orphaned=orphaned, sweeps=sweeps, capacity=int(capacity), queues=queues,
        workers=_workers(workers),
    )  # fmt: skip


def _workers(row: list[Any]) -> WorkersSnapshot:
    """Beyond those that were looked at, workers are taken to be as these are."""
    live, silent, seen, draining, slots, used, unheard = map(int, row)
    share = max(1.0, live / seen) if seen else 1.0
    return WorkersSnapshot(
        online=live - round(draining * share), draining=round(draining * share), silent=silent,
        slots=round(slots * share), slots_used=round(used * share), unheard_ms=unheard,
    )  # fmt: skip


def _queue(row: list[Any]) -> QueueSnapshot:
    name, (priority, limit, paused, within), queued, held, suspended, oldest, counts, held_back = row
    return QueueSnapshot(
        name=name, priority=int(priority or 0), limit=_number(limit), paused=paused == "1",
        start_within_ms=_number(within) or START_WITHIN_MS, queued=int(queued), held=held, suspended=suspended,
        oldest_ms=int(oldest), counts=dict(zip(counts[::2], map(int, counts[1::2]), strict=True)),
        held_back=int(held_back),
    )  # fmt: skip


def _number(text: str) -> int | None:
    return int(text) if text else None
