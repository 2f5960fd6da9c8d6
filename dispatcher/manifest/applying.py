"""Doing what a plan says: checked as a whole first, then written, deletions last."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ..client import Client
from ..errors import DeploymentNotFound, SluiceError
from .places import ManifestFaults
from .planning import Change, Plan
from .state import State
from .variables import variable_findings

if TYPE_CHECKING:
    from ..deployments import Deployment
    from .document import LimitEntry, PoolEntry, QueueEntry

Done = Callable[[Change], None]


def check_plan(plan: Plan, state: State) -> None:
    """Raise ManifestFaults with all that the templates of the pools, as they will be, refuse."""
    if found := list(variable_findings(plan, state)):
        raise ManifestFaults(found)


async def apply(client: Client, plan: Plan, done: Done | None = None) -> None:
    """Write what is pending, in order. Each step can be done again: after an error, plan and apply once more.

    Raises Conflict where somebody changed a deployment since the plan was made.
    """
    for number, change in enumerate(plan.pending):
        try:
            await _STEPS[change.kind](client, change)
        except SluiceError as error:
            if number:
                made = "1 change was" if number == 1 else f"{number} changes were"
                error.add_note(f"{made} made before it; `sluice deploy` again goes on from there")
            raise
        if done:
            done(change)


async def _pool(client: Client, change: Change) -> None:
    entry = cast("PoolEntry", change.wanted)
    fields: dict[str, Any] = {
        "limit": entry.limit,
        "description": entry.description,
        "paused": entry.paused,
        "retention_ms": round(1000 * entry.retention),
        "retention_count": entry.retention_count,
        "crashes": entry.crashes,
    }
    if change.action == "create":
        await client.pools.create(change.name, type=entry.type or "function", **fields)
    else:
        await client.pools.update(change.name, **fields)
    if entry.template or any(each.pointer.startswith("/template") for each in change.differences):
        await client.pools.set_template(change.name, entry.template)


async def _queue(client: Client, change: Change) -> None:
    entry = cast("QueueEntry", change.wanted)
    fields = entry.model_dump(exclude={"priority"} if entry.priority is None else set())
    if change.action == "create" and change.name != "default":  # that one comes with its pool
        await client.queues.create(change.name, pool=change.pool, **fields)
    else:
        await client.queues.update(change.name, pool=change.pool, **fields)


async def _limit(client: Client, change: Change) -> None:
    entry = cast("LimitEntry", change.wanted)
    await client.limits.set(change.name, entry.limit, when_full=entry.when_full, pool=change.pool)


async def _deployment(client: Client, change: Change) -> None:
    if change.action == "delete":
        try:
            await client.deployments.delete(change.name, pool=change.pool)
        except DeploymentNotFound:
            return  # somebody else deleted it
        return
    document = cast("Deployment", change.wanted)
    if change.moved:
        moved = await client.deployments.move(change.name, change.pool)
        await client.deployments.put(document, expect=moved.version)
    else:
        await client.deployments.put(document, expect=change.version)


_STEPS = {"pool": _pool, "queue": _queue, "limit": _limit, "deployment": _deployment}
