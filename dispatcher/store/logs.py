"""Logs of runs: written in chunks by workers, read line by line by people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from .. import keys, scripts
from ..errors import DecodeError, InvalidInput
from ..models import CUT, LogLine
from ..unpacking import unpack
from .link import Entry, Link, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ODD = (InvalidInput, ValueError, TypeError, LookupError, OverflowError, OSError)
"""What bytes raise that are no chunk of a log."""
PAGE = 32
"""Entries read at once; a worker's chunks are 64 KB at most."""


class LogChunk(NamedTuple):
    """Lines of one claim, as the log script takes them. `cut` lines were lost before them."""

    run_id: str
    token: str
    sequence: int
    cut: int
    lines: int
    size: int
    packed: bytes


class LogStore:
    """Writes to logs, and opens readers of them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._script = scripts.load("log")

    async def write(self, pool: str, chunks: Sequence[LogChunk]) -> list[str]:
        """Add lines: 'ok', 'full', 'already', 'stale' or 'missing' for each chunk. Repeatable. Raises ServerError.

        A log keeps the first 10,000 lines and 1,000,000 bytes of text; of what comes then it keeps the number.
        """
        flat = [part for chunk in chunks for part in chunk]
        reply = await self._link.run(self._script, self._link.calls, pool, *flat)
        return [status.decode() for status in reply]

    async def written_until(self, pool: str, run_id: str) -> int:
        """The ms of the last line that a run's log keeps, 0 when there is none. Raises ServerError."""
        log = keys.log(root_of(pool), run_id)
        try:
            entries = await self._link.client.xrevrange(log, count=2)  # the last one may only count what was cut
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        packed = next((fields[b"l"] for _, fields in entries if fields.get(b"l")), None)
        try:
            return int(unpack(packed, unicode_errors="replace")[-1][0]) if packed else 0
        except _ODD:
            return 0

    def reader(self, pool: str, run_id: str) -> LogReader:
        """A reader at the beginning of a run's log."""
        return LogReader(self._link, pool, run_id)


class LogReader:
    """Reads one run's log from its beginning to its end.

    Lines that were cut are told as one line of level `cut`, before the next line that was kept, or by `rest`.
    """

    def __init__(self, link: Link, pool: str, run_id: str) -> None:
        self._link, self._root, self._run_id = link, root_of(pool), run_id
        self._last, self._cut, self._told = "0-0", 0, 0
        self._at = _when(0)

    async def page(self) -> list[LogLine] | None:
        """The next lines; None when there are no more by now. Raises ServerError."""
        log = keys.log(self._root, self._run_id)
        try:
            entries = await self._link.client.xrange(log, min=f"({self._last}", count=PAGE)
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return self._lines(entries) if entries else None

    async def wait(self, link: Link, listener: str) -> tuple[list[LogLine], bool]:
        """Wait 2 s for lines, or for the end as told to `listener`; whether to look for the end. Raises ServerError.

        `link` is one that nobody else reads from.
        """
        log, reply = keys.log(self._root, self._run_id), keys.reply(self._root, listener)
        found = dict(await link.read({log: self._last, reply: "0-0"}))
        return self._lines(found.get(log, ())), reply in found or not found

    async def exists(self) -> bool:
        """Whether the run is still known, with a log or without one."""
        try:
            return bool(await self._link.client.exists(keys.record(self._root, self._run_id)))
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error

    def rest(self) -> list[LogLine]:
        """What was cut after the last line, as one line, or nothing."""
        missing, self._told = self._cut - self._told, self._cut
        return [LogLine(self._at, CUT, f"... {missing:,} line{'s' * (missing != 1)} cut", missing)] if missing else []

    def _lines(self, entries: Iterable[Entry]) -> list[LogLine]:
        found: list[LogLine] = []
        for entry, fields in entries:
            self._last = entry.decode()
            try:
                cut, lines = _chunk(fields)
                at = lines[0].at if lines else _when(int(self._last.split("-")[0]))
            except _ODD:  # added by hand
                continue
            self._cut, self._at = cut, at
            if lines:
                found += self.rest()
                found += lines
        return found


def _chunk(fields: dict[bytes, bytes]) -> tuple[int, list[LogLine]]:
    """How many lines were cut up to here, and those of this chunk. Raises one of _ODD for what is no chunk."""
    if fields.keys() != {b"h", b"l"}:
        raise DecodeError("a chunk of a log has two fields")
    cut = int(fields[b"h"].split(b":")[4])
    rows: list[Any] = unpack(fields[b"l"], unicode_errors="replace") if fields[b"l"] else []
    return cut, [LogLine(_when(ms), str(level), str(text)) for ms, level, text in rows]


def _when(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
