"""What is there now, in the words of a manifest, so that both can be compared leaf by leaf."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from ..client import Client
from ..client.templates import default_template
from ..deployments import Stored
from ..errors import InvalidInput
from ..models import KeyLimit, WorkPool, WorkQueue
from .document import LimitEntry, PoolEntry, QueueEntry, is_own


@dataclass(frozen=True, slots=True)
class State:
    """Pools with queues and limits, and deployments of all pools, by name."""

    pools: Mapping[str, PoolEntry]
    deployments: Mapping[str, Stored]


async def read_state(client: Client, pools: AbstractSet[str] | None = None) -> State:
    """What is there now; queues and limits of these pools only, of all when None."""
    entries = {}
    for pool in await client.pools.list():
        wanted = pools is None or pool.name in pools
        queues = await client.queues.list(pool=pool.name) if wanted else []
        limits = await client.limits.list(pool=pool.name) if wanted else []
        template = await _template_of(client, pool) if wanted else None
        entries[pool.name] = entry_of(pool, queues, limits, template)
    return State(entries, {stored.name: stored for stored in await client.deployments.list()})


async def _template_of(client: Client, pool: WorkPool) -> dict[str, Any] | None:
    """The template that was set for the pool; None where its worker type's governs it."""
    if pool.type == "function":
        return None
    try:
        found = await client.pools.template(pool.name)
    except InvalidInput:  # none was set, and the type is not installed here
        return None
    try:
        return None if found == default_template(pool.type) else found
    except InvalidInput:
        return found


def entry_of(
    pool: WorkPool, queues: list[WorkQueue], limits: list[KeyLimit], template: dict[str, Any] | None
) -> PoolEntry:
    """A pool as a file would declare it. Limits that deployments bring themselves are theirs."""
    return PoolEntry.model_construct(
        type=pool.type,
        limit=pool.limit,
        description=pool.description,
        paused=pool.paused,
        retention=pool.retention_ms / 1000,
        retention_count=pool.retention_count,
        crashes=pool.crash_budget,
        template=template,
        queues={
            queue.name: QueueEntry.model_construct(
                priority=queue.priority,
                limit=queue.limit,
                description=queue.description,
                paused=queue.paused,
                start_within=queue.start_within,
            )
            for queue in sorted(queues, key=lambda queue: queue.name)
        },
        limits={
            limit.key: LimitEntry.model_validate({"limit": limit.limit, "when_full": limit.when_full})
            for limit in sorted(limits, key=lambda limit: limit.key)
            if not is_own(limit.key)
        },
    )
