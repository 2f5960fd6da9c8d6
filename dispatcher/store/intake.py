"""Intake: publish streams, the entries in them, those that were rejected, and publishers with a stream of their own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .. import keys
from ..errors import PoolNotFound, PublisherHoldsEntries, PublisherNotFound, ServerUnreachable, TooManyPublishers
from ..names import check_name
from .connection import is_spread
from .link import root_of
from .pools import Settings
from .runs import WireRun

AT_ONCE = 64
INTAKE = "intake"
"""The source of runs from the stream that all share; no publisher has this name."""


class PublishStream(NamedTuple):
    """A publish stream: of a pool, and of one publisher, or '' for the one that all share."""

    pool: str
    publisher: str

    @property
    def source(self) -> str:
        """What its runs have as their source."""
        return self.publisher or INTAKE

    @property
    def key(self) -> str:
        """Its key in Redis."""
        root = root_of(self.pool)
        return keys.own_publish(root, self.publisher) if self.publisher else keys.publish(root)


class Unread(NamedTuple):
    """An entry as its publisher wrote it: fields and values in their order, doubles too."""

    id: str
    fields: tuple[bytes, ...]


class Verdict(NamedTuple):
    """What becomes of an entry: a run, or the reason why it is none."""

    entry: str
    run: WireRun | str


class Intaken(NamedTuple):
    """What a call of intake did: a status for each verdict, entries it rejected itself, and those that come next."""

    more: bool
    statuses: list[str]
    rejected: list[tuple[str, str]]
    entries: list[Unread]


class Rejected(NamedTuple):
    """A rejected entry. `size` is that of its payload, of which `head` has the first 4 KB."""

    id: str
    stream: str
    entry: str
    reason: str
    size: int
    format: str
    reply: str
    head: bytes
    at: datetime


class IntakeStore(Settings):
    """Calls of the dispatcher's intake and of those who look after it."""

    @property
    def is_spread(self) -> bool:
        """Whether one stream's server may be away while another's is there."""
        return is_spread(self._link.url)

    async def streams(self) -> list[PublishStream]:
        """The publish streams of all pools of the catalogue."""
        (found,) = await self._read(("SMEMBERS", keys.CATALOGUE))
        pools = sorted(name.decode() for name in found)
        rows = await self._owners(pools)
        own = [
            PublishStream(pool, name.decode())
            for pool, names in zip(pools, rows, strict=True)
            for name in sorted(names)
        ]
        return [PublishStream(pool, "") for pool in pools] + own

    async def _owners(self, pools: Sequence[str]) -> list[Any]:
        """Publishers with a stream of their own, for each pool; none where its server is away and others are there."""
        try:
            return await self._read(*(("SMEMBERS", keys.publishers(root_of(pool))) for pool in pools))
        except ServerUnreachable:
            if not self.is_spread:
                raise
        rows: list[Any] = []
        for pool in pools:
            try:
                rows += await self._read(("SMEMBERS", keys.publishers(root_of(pool))))
            except ServerUnreachable:
                rows.append(())
        return rows

    async def wait(self, streams: Sequence[PublishStream]) -> list[PublishStream]:
        """Those of them that hold an entry, as soon as one does; none after 2 s. One caller at a time.

        What comes with it is not used: only `take_in` hands out entries, the same ones to everybody, sizes checked.
        """
        of_key = {stream.key: stream for stream in streams}
        return [of_key[key] for key, _ in await self._link.read(dict.fromkeys(of_key, "0-0"), count=1)]

    async def take_in(self, stream: PublishStream, verdicts: Sequence[Verdict] = ()) -> Intaken:
        """Publish or reject what was read, 64 at most, and read on. Repeatable. Raises PoolNotFound, ServerError."""
        flat: list[str | bytes] = []
        for entry, run in verdicts:
            flat += (entry, "", run, "", "") if isinstance(run, str) else (entry, *run)
        reply = await self._link.call("intake", stream.pool, self._link.now_ms, stream.publisher, *flat)
        if reply[0] == b"no_pool":
            raise PoolNotFound(stream.pool)
        _, _, more, statuses, rejected, entries = reply
        told = [word.decode(errors="replace") for word in rejected]
        return Intaken(
            bool(more),
            [status.decode() for status in statuses],
            list(zip(told[::2], told[1::2], strict=True)),
            [Unread(entry.decode(), tuple(fields)) for entry, fields in entries],
        )

    async def settle(self, pool: str) -> None:
        """Go on with an admission that a bound stopped."""
        await self._settle(pool, more=True)

    async def now_ms(self, pool: str) -> int:
        """The clock of the server that has the pool."""
        (seconds, micros), _ = await self._read(("TIME",), ("EXISTS", root_of(pool)))
        return int(seconds) * 1000 + int(micros) // 1000

    async def rejected(self, pool: str, most: int, after: str = "") -> list[Rejected]:
        """Rejected entries, oldest first, those after an id. Raises PoolNotFound."""
        root = root_of(pool)
        known, rows = await self._read(
            ("EXISTS", root), ("XRANGE", keys.rejected(root), f"({after}" if after else "-", "+", "COUNT", most)
        )
        if not known:
            raise PoolNotFound(pool)
        return [_rejected(entry.decode(), fields) for entry, fields in rows]

    async def put_back(self, pool: str, ids: Sequence[str]) -> list[str]:
        """'retried', 'missing', 'cut', 'odd' or 'no_publisher' for each of 64 rejected entries at most. Repeatable."""
        reply = await self._link.call("putback", pool, *ids)
        return [status.decode() for status in reply]

    async def publishers(self, pool: str) -> list[str]:
        """Publishers with a stream of their own, by name. Raises PoolNotFound."""
        root = root_of(pool)
        known, names = await self._read(("EXISTS", root), ("SMEMBERS", keys.publishers(root)))
        if not known:
            raise PoolNotFound(pool)
        return sorted(name.decode() for name in names)

    async def change_publisher(self, pool: str, mode: str, name: str) -> None:
        """`add` or `rm` one. Raises PoolNotFound, PublisherNotFound, PublisherHoldsEntries, TooManyPublishers."""
        reply = await self._link.call("publisher", pool, mode, check_name("publisher", name))
        match reply[0]:
            case b"no_pool":
                raise PoolNotFound(pool)
            case b"no_publisher":
                raise PublisherNotFound(pool, name)
            case b"holds":
                raise PublisherHoldsEntries(name, reply[1])
            case b"full":
                raise TooManyPublishers(pool, reply[1])
            case _:
                pass


def _rejected(entry: str, fields: Any) -> Rejected:
    row = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))

    def text(name: bytes) -> str:
        return str(row.get(name, b"").decode(errors="backslashreplace"))

    return Rejected(
        entry, text(b"stream"), text(b"entry"), text(b"reason"), int(row.get(b"size", 0)), text(b"format"),
        text(b"reply"), row.get(b"head", b""), datetime.fromtimestamp(int(entry.partition("-")[0]) / 1000, UTC),
    )  # fmt: skip
