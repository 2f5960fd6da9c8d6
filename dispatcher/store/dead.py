"""Dead letters: an index over terminal runs, by when they ended."""

from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import RedisError

from .. import keys
from .link import Link, root_of


class DeadStore:
    """Reads and thins out the index. A run enters it when it ends, leaves it when it is published anew or forgotten."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def _run(self, *command: Any) -> Any:
        try:
            return await self._link.client.execute_command(*command)
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error

    async def count(self, pool: str) -> int:
        """How many there are."""
        return int(await self._run("ZCARD", keys.dead(root_of(pool))))

    async def page(self, pool: str, start: int, count: int) -> list[str]:
        """Ids, latest first."""
        rows = await self._run("ZREVRANGE", keys.dead(root_of(pool)), start, start + count - 1)
        return [run_id.decode() for run_id in rows]

    async def among(self, pool: str, ids: Sequence[str]) -> set[str]:
        """Which of these are dead letters."""
        if not ids:
            return set()
        scores = await self._run("ZMSCORE", keys.dead(root_of(pool)), *ids)
        return {run_id for run_id, score in zip(ids, scores, strict=True) if score is not None}

    async def purge(self, pool: str, ids: Iterable[str]) -> int:
        """Take these out, or all when none is named; how many were there. Repeatable."""
        key, named = keys.dead(root_of(pool)), list(ids)
        if named:
            return int(await self._run("ZREM", key, *named))
        return int(await self._run("ZREMRANGEBYRANK", key, 0, -1))
