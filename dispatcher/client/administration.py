"""Administration of pools, queues, limits and workers; every change acts at once on all that is admitted after it."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInput, PoolNotFound, WorkerNotFound
from ..models import TERMINAL, Autoscale, KeyLimit, RunState, Slot, WorkerInfo, WorkPool, WorkQueue
from ..store import Store
from .templates import checked_text, effective_template

_CANCELLABLE = frozenset(RunState) - TERMINAL - {RunState.CANCELLING}


class Pools:
    """Work pools of the server."""

    def __init__(self, store: Store) -> None:
        self._store, self._runs, self._lister = store.pools, store.runs, store.lister
        self._snapshots = store.snapshots

    async def create(
        self, name: str, *, type: str = "function", limit: int | None = None, description: str = "",
        paused: bool = False,
        if_missing: bool = False, **more: int,
    ) -> bool:  # fmt: skip
        """Create a pool for one type of worker; False when `if_missing` found it. Raises PoolExists, InvalidInput.

        `more`: retention_ms and retention_count (how long and how many finished runs are kept), crashes (the budget).
        """
        fields: dict[str, Any] = {"limit": limit, "description": description, "paused": paused, **more}
        return await self._store.create(name, type, ensure=if_missing, **fields)

    async def update(self, name: str, **fields: int | str | bool | None) -> None:
        """Change limit (None clears it), paused, description, retention_ms, retention_count, crashes."""
        await self._store.update(name, **fields)

    async def pause(self, name: str) -> None:
        """Admit nothing until resumed; running runs go on."""
        await self._store.update(name, paused=True)

    async def resume(self, name: str) -> None:
        """Admit again."""
        await self._store.update(name, paused=False)

    async def get(self, name: str) -> WorkPool:
        """Settings and counts. Raises PoolNotFound."""
        return await self._store.get(name)

    async def list(self) -> builtins.list[WorkPool]:
        """All pools, by name."""
        found: builtins.list[WorkPool] = []
        for name in await self._store.names():
            try:
                found.append(await self._store.get(name))
            except PoolNotFound:
                continue
        return found

    async def delete(self, name: str, *, cancel: bool = False) -> None:
        """Delete a pool without runs and workers; `cancel` ends its runs first. Raises PoolHoldsRuns, PoolNotFound.

        With `cancel`, running runs are asked to end; while they have not, PoolHoldsRuns says so: call again.
        """
        while cancel:
            found = await self._lister.find(name, _CANCELLABLE, limit=64)
            runs = [*(run.id for run in found.rows), *found.unreadable][:64]
            statuses = await self._runs.cancel(name, runs) if runs else []
            # One that cannot be read is found again however often its worker is asked.
            asked = {run for run, status in zip(runs, statuses, strict=True) if status == "cancelling"}
            cancel = "cancelled" in statuses or bool(asked - found.unreadable.keys())
        await self._store.delete(name)

    async def template(self, name: str) -> dict[str, Any]:
        """Its base job template: the one that was set, or else that of its worker type. Raises PoolNotFound."""
        return effective_template(await self._store.template(name))

    async def set_template(self, name: str, template: Mapping[str, Any] | None) -> None:
        """Set its base job template, at once for all runs that start after it; None or {} goes back to its type's.

        Raises InvalidTemplate with all that is wrong, PoolNotFound; then nothing was changed.
        """
        worker_type = (await self._store.template(name)).worker_type
        text = "" if template is None or template == {} else checked_text(worker_type, template)
        await self._store.set_template(name, text)

    async def autoscale(self, name: str) -> Autoscale:
        """How many workers it could use now. Raises PoolNotFound."""
        return (await self._snapshots.read(name)).autoscale

    async def slots(self, name: str, *, queue: str | None = None, key: str | None = None) -> builtins.list[Slot]:
        """Who holds the slots of the pool, or of one of its queues or keys."""
        return await self._store.slots(name, queue, key)


class Queues:
    """Work queues of a pool (the client's, unless another is named)."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store, self._pool = store.queues, pool

    async def create(
        self, name: str, *, priority: int | None = None, limit: int | None = None, paused: bool = False,
        description: str = "", start_within: float | None = None, pool: str | None = None,
    ) -> None:  # fmt: skip
        """Create a queue; without a priority it gets the first free one. Raises QueueExists, PoolNotFound.

        `start_within` is how soon its runs should be admitted, in seconds: metrics and alerts hold it to that.
        """
        within = {} if start_within is None else {"start_within": start_within}
        await self._store.create(
            pool or self._pool, name, priority=priority, limit=limit, paused=paused, description=description, **within
        )

    async def update(self, name: str, *, pool: str | None = None, **fields: float | str | bool | None) -> None:
        """Change priority, limit (None clears it), paused, description, start_within (None: a minute)."""
        await self._store.update(pool or self._pool, name, **fields)

    async def pause(self, name: str, *, pool: str | None = None) -> None:
        """Admit nothing of this queue until resumed."""
        await self._store.update(pool or self._pool, name, paused=True)

    async def resume(self, name: str, *, pool: str | None = None) -> None:
        """Admit again."""
        await self._store.update(pool or self._pool, name, paused=False)

    async def get(self, name: str, *, pool: str | None = None) -> WorkQueue:
        """Settings and counts. Raises QueueNotFound."""
        return await self._store.get(pool or self._pool, name)

    async def list(self, *, pool: str | None = None) -> builtins.list[WorkQueue]:
        """All queues, best priority first."""
        return await self._store.list(pool or self._pool)

    async def delete(self, name: str, *, cancel: bool = False, pool: str | None = None) -> None:
        """Delete a queue that holds no runs, or cancel them first. Raises QueueHoldsRuns, QueueNotFound."""
        await self._store.delete(pool or self._pool, name, cancel=cancel)


class Limits:
    """Limits of concurrency keys: `kind:value`, or `kind:*` for each value of a kind."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store, self._pool = store.limits, pool

    async def set(self, key: str, limit: int, *, when_full: str = "wait", pool: str | None = None) -> None:
        """Set a limit, and what becomes of one more run. Raises InvalidInput, PoolNotFound.

        `when_full`: wait, skip (it ends as cancelled), replace (the oldest is cancelled), wait_one (one waits, more are
        skipped). It acts on runs as they enter the backlog; runs that wait already are not looked at.
        """
        if limit is None:
            raise InvalidInput(f"no limit for {key!r}: `clear` removes one")
        await self._store.set(pool or self._pool, key, limit, when_full)

    async def clear(self, key: str, *, pool: str | None = None) -> None:
        """Remove a limit."""
        await self._store.set(pool or self._pool, key, None)

    async def list(self, *, pool: str | None = None) -> builtins.list[KeyLimit]:
        """All limits, by key."""
        return await self._store.list(pool or self._pool)


class Workers:
    """Live workers of a pool."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store, self._pool = store.workers, pool

    async def list(self, *, pool: str | None = None) -> builtins.list[WorkerInfo]:
        """Live workers, by id."""
        return await self._store.list(pool or self._pool)

    async def get(self, name: str, *, pool: str | None = None) -> WorkerInfo:
        """A worker by its id. Raises WorkerNotFound."""
        for worker in await self.list(pool=pool):
            if worker.id == name:
                return worker
        raise WorkerNotFound(name)

    async def drain(self, name: str, *, pool: str | None = None) -> None:
        """Ask a worker to take no more runs and go when its hands are empty. Raises WorkerNotFound."""
        await self._store.drain(pool or self._pool, name)

    async def stop(self, name: str, *, pool: str | None = None) -> None:
        """As `drain`, but what still runs after the worker's grace is handed back, uncharged. Raises WorkerNotFound."""
        await self._store.drain(pool or self._pool, name, "stop")
