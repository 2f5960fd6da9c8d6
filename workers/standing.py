"""Whose claims count: a type asks before it takes something for left behind."""

from collections.abc import Sequence

from dispatcher.store import Claim, Store


class Standing:
    """The claims of one pool, as Redis knows them."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store, self._pool = store, pool

    async def installation(self) -> str:
        """A word for this pool that no pool of another server has. Raises ServerError."""
        return f"{self._pool}-{await self._store.pools.created(self._pool)}"

    async def are_current(self, claims: Sequence[Claim]) -> list[bool]:
        """Whether each claim is held by a worker or waits to be adopted. Raises ServerError."""
        return await self._store.runs.are_current(self._pool, claims) if claims else []

    async def logged_until(self, run_id: str) -> int:
        """When the last line of a run's log was written, in ms; 0 for an empty log. Raises ServerError."""
        return await self._store.logs.written_until(self._pool, run_id)
