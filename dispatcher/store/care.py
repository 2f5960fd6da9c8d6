"""What services do for a pool: tick, promote, retain, and waiting for the bell."""

from typing import NamedTuple

from .. import keys
from .link import Link, root_of


class Tick(NamedTuple):
    """What a tick found: workers whose lease ended, runs taken back from them, and runs left for another to adopt.

    `unconfirmed` runs were pushed to workers that did not answer, and taken back.
    """

    more: bool
    lost: int
    taken_back: int
    orphaned: int
    unconfirmed: int


class Promotion(NamedTuple):
    """What became due. `wait_ms` until the next one is due, None when there is none; `late_ms` of the first."""

    promoted: int
    expired: int
    wait_ms: int | None
    more: bool
    late_ms: int


class Retained(NamedTuple):
    """How many runs were forgotten, and whether there are more; `abroad`: a tree's runs in other pools are left."""

    forgotten: int
    more: bool
    abroad: bool


class CareStore:
    """Calls of the dispatcher and scheduler services."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def tick(self, pool: str) -> Tick:
        """Look after silent workers, sweeps and leftovers. Repeatable, any number of dispatchers."""
        _, more, lost, taken, orphaned, unconfirmed = await self._link.call("tick", pool, self._link.now_ms)
        return Tick(bool(more), lost, taken, orphaned, unconfirmed)

    async def promote(self, pool: str, most: int = 64) -> Promotion:
        """Move due runs into the backlog and end those past their deadline. Repeatable, any number of schedulers."""
        promoted, expired, now, due, more, late = await self._link.call("promote", pool, self._link.now_ms, most)
        return Promotion(promoted, expired, max(0, due - now) if due else None, bool(more), late)

    async def retain(self, pool: str, most: int = 256) -> Retained:
        """Forget finished runs past the pool's retention."""
        forgotten, more, abroad = await self._link.call("retain", pool, self._link.now_ms, most)
        return Retained(forgotten, bool(more), bool(abroad))

    async def wait_bells(self, last: dict[str, str]) -> set[str]:
        """Pools where something is due earlier than known, since `last` (pool -> entry, moved on). Blocks up to 2 s."""
        streams = {keys.bell(root_of(pool)): entry for pool, entry in last.items()}
        pools = dict(zip(streams, last, strict=True))
        rung: set[str] = set()
        for name, entries in await self._link.read(streams):
            last[pools[name]] = entries[-1][0].decode()
            rung.add(pools[name])
        return rung
