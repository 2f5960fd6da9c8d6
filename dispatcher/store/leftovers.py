"""Keys that nothing refers to any more, found by one bounded SCAN; nothing is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from .. import keys
from .link import root_of

if TYPE_CHECKING:
    from .link import Link

_ROUNDS, _PER_ROUND, _HOLDERS = 100, 1_000, 1_000
KEYS_AT_MOST = _ROUNDS * _PER_ROUND
_POOL_KEY = re.compile(r"sluice:\{([^}]+)\}(.*)", re.DOTALL)
_TERMINAL = 8


@dataclass
class Leftovers:
    """What was found, by pool: slots as (key, run, 'over' or 'unknown'); `is_whole` unless the cap was met."""

    is_whole: bool = True
    pools: set[str] = field(default_factory=set[str])
    slots: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    facts: list[str] = field(default_factory=list[str])
    orphans: list[str] = field(default_factory=list[str])


class LeftoverSearch:
    """Looks for leftovers of all pools. What is in motion is looked at twice, so that it is not mistaken for one."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def search(self) -> Leftovers:
        """Look at KEYS_AT_MOST keys of the server, and 1,000 holders of each scope. Raises ServerError."""
        found = Leftovers()
        try:
            for name in await self._names(found):
                await self._look(name, found)
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return found

    async def _names(self, found: Leftovers) -> list[str]:
        names: set[str] = set()
        masters = await self._link.masters()
        for client in masters.values():
            found.is_whole &= await self._scan(client, _ROUNDS // len(masters), names)
        return sorted(names)

    async def _scan(self, client: Any, rounds: int, names: set[str]) -> bool:
        """Add the names of one server's keys; whether these are all."""
        cursor = 0
        for _ in range(max(1, rounds)):
            cursor, page = await client.scan(cursor, match="sluice:{*", count=_PER_ROUND)
            names.update(name.decode(errors="replace") for name in page)
            if not int(cursor):
                return True
        return False

    async def _look(self, name: str, found: Leftovers) -> None:
        match = _POOL_KEY.fullmatch(name)
        if match is None:
            return
        pool, rest = match.groups()
        root = root_of(pool)
        if not rest:
            found.pools.add(pool)
        elif name == keys.slots(root) or name.startswith(keys.slots(root) + ":"):
            await self._slots(root, name, found)
        elif name.startswith(prefix := keys.facts(root, "")):
            await self._facts(root, name, name.removeprefix(prefix), found)
        else:
            for prefix in (keys.inbox(root, ""), keys.heartbeat(root, "")):
                if name.startswith(prefix):
                    await self._of_worker(root, name, name.removeprefix(prefix), found)

    async def _slots(self, root: str, name: str, found: Leftovers) -> None:
        client = self._link.client
        runs = [run.decode(errors="replace") for run in await client.zrange(name, 0, _HOLDERS - 1)]
        flags = await self._pipe("getrange", [(keys.record(root, run), 1, 1) for run in runs])
        wrong = {run: _fault(flag) for run, flag in zip(runs, flags, strict=True) if _fault(flag)}
        # A run's end releases its slots in the same script: what is still held now was held after the end.
        held = await self._pipe("zscore", [(name, run) for run in wrong])
        found.slots += [
            (name, run, fault) for (run, fault), score in zip(wrong.items(), held, strict=True) if score is not None
        ]

    async def _facts(self, root: str, name: str, run: str, found: Leftovers) -> None:
        client = self._link.client
        if not await client.exists(keys.record(root, run)) and await client.exists(name):
            found.facts.append(name)

    async def _of_worker(self, root: str, name: str, worker: str, found: Leftovers) -> None:
        """One with a time to live goes by itself."""
        client = self._link.client
        if not await client.exists(keys.worker(root, worker)) and await client.ttl(name) == -1:
            found.orphans.append(name)

    async def _pipe(self, command: str, rows: list[tuple[Any, ...]]) -> list[Any]:
        if not rows:
            return []
        async with self._link.client.pipeline(transaction=False) as pipe:
            for row in rows:
                getattr(pipe, command)(*row)
            answers: list[Any] = await pipe.execute()
        return answers


def _fault(flags: bytes) -> str:
    """What is wrong with a holder whose record has these flags, '' for nothing."""
    if not flags:
        return "unknown"
    return "over" if flags[0] & _TERMINAL else ""
