"""Looking after intake: entries that were rejected, and publishers with a stream of their own."""

from __future__ import annotations

import builtins

from ..errors import InvalidInput
from ..store import Store
from ..store.intake import AT_ONCE, INTAKE, Rejected

_PAGE = 256


class RejectedEntries:
    """Entries of publish streams that became no runs, kept with the reason; the last 10,000 or so of a pool."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store, self._pool = store.intake, pool

    async def list(self, limit: int = 50, *, pool: str | None = None) -> builtins.list[Rejected]:
        """Rejected entries, oldest first. Raises PoolNotFound."""
        if limit < 1:
            raise InvalidInput(f"{limit!r} is no limit of a list: 1 or more")
        found: builtins.list[Rejected] = []
        while len(found) < limit:
            after = found[-1].id if found else ""
            page = await self._store.rejected(pool or self._pool, min(_PAGE, limit - len(found)), after)
            found += page
            if not page:
                break
        return found

    async def retry(self, *entries: str, pool: str | None = None) -> builtins.list[str]:
        """Put rejected entries back on their publish streams, by the ids that `list` shows; what became of each.

        'retried', 'missing' (there is no such entry, or it was retried before), 'cut' (only its first 4 KB were kept),
        'odd' (it had not exactly one of `run` and `run.mp`) or 'no_publisher' (its stream is not read any more).
        """
        for entry in entries:
            _check_entry(entry)
        statuses: builtins.list[str] = []
        for start in range(0, len(entries), AT_ONCE):
            statuses += await self._store.put_back(pool or self._pool, entries[start : start + AT_ONCE])
        return statuses


class Publishers:
    """Publishers with a stream of their own: `sluice:{pool}:publish:<name>`. 256 a pool at most."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store, self._pool = store.intake, pool

    async def list(self, *, pool: str | None = None) -> builtins.list[str]:
        """Their names. Raises PoolNotFound."""
        return await self._store.publishers(pool or self._pool)

    async def add(self, name: str, *, pool: str | None = None) -> None:
        """Read the stream of this publisher from now on; dispatchers notice within some seconds."""
        if name == INTAKE:
            raise InvalidInput(f"{name!r} is the source of runs from the stream that all share: choose another name")
        await self._store.change_publisher(pool or self._pool, "add", name)

    async def remove(self, name: str, *, pool: str | None = None) -> None:
        """Read it no more. Raises PublisherNotFound, PublisherHoldsEntries while entries are unread."""
        await self._store.change_publisher(pool or self._pool, "rm", name)


class IntakeAdministration:
    """What there is to look after: `rejected` and `publishers`."""

    def __init__(self, store: Store, pool: str) -> None:
        self.rejected = RejectedEntries(store, pool)
        self.publishers = Publishers(store, pool)


def _check_entry(entry: str) -> None:
    ms, dash, sequence = entry.partition("-")
    if not (dash and ms.isascii() and ms.isdigit() and sequence.isascii() and sequence.isdigit() and len(entry) < 42):
        raise InvalidInput(f"{entry[:60]!r} is no id of an entry: such as 1763712000000-0, as `list` shows it")
