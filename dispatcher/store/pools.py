"""Pools, queues and key limits: settings, and what they hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from .. import keys
from ..errors import InvalidInput, PoolExists, PoolHoldsRuns, PoolNotFound, QueueExists, QueueHoldsRuns, QueueNotFound
from ..models import KeyLimit, Slot, WorkPool, WorkQueue
from ..names import (
    check_key,
    check_limit,
    check_limit_key,
    check_name,
    check_priority,
    check_start_within,
    check_when_full,
)
from ..snapshots import START_WITHIN_MS
from .link import Link, root_of


def _text(value: bytes | None) -> str:
    return value.decode() if value else ""


def _number(value: bytes | None) -> int | None:
    return int(value) if value else None


def _flat(fields: dict[str, Any]) -> list[str]:
    """Field, value, ...; None is written as '' and means none."""
    flat: list[str] = []
    for name, value in fields.items():
        flat += [name, "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)]
    return flat


def _check_fields(what: str, known: frozenset[str], fields: dict[str, Any]) -> None:
    """Only what people set, and only as it is meant; raises InvalidInput."""
    if unknown := fields.keys() - known:
        raise InvalidInput(f"{min(unknown)!r} is no setting of a {what}: one of {', '.join(sorted(known))}")
    check_limit(fields.get("limit"))
    if not isinstance(fields.get("paused", False), bool):
        raise InvalidInput(f"{fields['paused']!r} is no answer to `paused`: True or False")
    description = fields.get("description", "")
    if not isinstance(description, str) or len(description) > 1000 or not description.isprintable():
        raise InvalidInput(f"{str(description)[:100]!r} is no description: one line of text, 1,000 characters at most")


class StoredTemplate(NamedTuple):
    """A pool's base job template as JSON text, '' when it has none; the version grows with each change."""

    worker_type: str
    version: int
    text: str


_POOL_FIELDS = frozenset({"limit", "paused", "description", "retention_ms", "retention_count", "crashes"})
_QUEUE_FIELDS = frozenset({"priority", "limit", "paused", "description", "start_within"})


class Settings:
    """What pools, queues and limits share: calls that go on while they say `more`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def _read(self, *commands: tuple[Any, ...]) -> list[Any]:
        return await self._link.execute(commands)

    async def _settle(self, pool: str, *, more: bool) -> None:
        """Go on with what a change left open; the dispatchers would do it too, later."""
        for _ in range(1000):
            if not more:
                return
            more = bool((await self._link.call("sweep", pool, self._link.now_ms))[0])


class PoolStore(Settings):
    """Work pools."""

    async def create(self, name: str, worker_type: str, *, ensure: bool = False, **fields: Any) -> bool:
        """Create a pool; False when `ensure` found one of that type. Raises PoolExists, InvalidInput."""
        check_name("pool", name)
        check_name("worker type", worker_type)
        reply = await self._change(name, "ensure" if ensure else "create", worker_type, fields)
        if reply[0] == b"exists" and not (ensure and reply[1].decode() == worker_type):
            raise PoolExists(name, reply[1].decode())
        await self._catalogue("sadd", name)
        return bool(reply[0] == b"ok")

    async def update(self, name: str, **fields: Any) -> None:
        """Change limit, paused, description, retention_ms, retention_count, crashes; at once. Raises PoolNotFound."""
        reply = await self._change(name, "update", "", fields)
        if reply[0] == b"no_pool":
            raise PoolNotFound(name)

    async def _change(self, name: str, mode: str, worker_type: str, fields: dict[str, Any]) -> Any:
        _check_fields("work pool", _POOL_FIELDS, fields)
        for field in ("retention_ms", "retention_count", "crashes"):
            if field in fields and (not isinstance(fields[field], int) or fields[field] < 1):
                raise InvalidInput(f"{fields[field]!r} is no {field}: a whole number above 0")
        reply = await self._link.call("pool", name, self._link.now_ms, mode, worker_type, *_flat(fields))
        if reply[0] == b"ok":
            await self._settle(name, more=bool(reply[1]))
        return reply

    async def template(self, name: str) -> StoredTemplate:
        """Its base job template. Raises PoolNotFound."""
        (row,) = await self._read(("HMGET", root_of(name), "type", "template_version", "template"))
        if row[0] is None:
            raise PoolNotFound(name)
        return StoredTemplate(_text(row[0]), _number(row[1]) or 0, _text(row[2]))

    async def template_version(self, name: str) -> int:
        """The version of its template: 0 before the first one, and when there is no such pool."""
        (found,) = await self._read(("HGET", root_of(name), "template_version"))
        return _number(found) or 0

    async def created(self, name: str) -> str:
        """When it was made, in ms; '' when there is no such pool."""
        (found,) = await self._read(("HGET", root_of(name), "created"))
        return _text(found)

    async def set_template(self, name: str, text: str) -> None:
        """Keep a template that was checked, '' for none. Raises PoolNotFound."""
        reply = await self._link.call("pool", name, self._link.now_ms, "update", "", "template", text)
        if reply[0] == b"no_pool":
            raise PoolNotFound(name)
        await self._settle(name, more=bool(reply[1]))

    async def _catalogue(self, command: str, name: str) -> None:
        await self._read((command, keys.CATALOGUE, name))

    async def names(self) -> list[str]:
        """The pools of the catalogue, a hint: one may be gone already."""
        (found,) = await self._read(("SMEMBERS", keys.CATALOGUE))
        return sorted(name.decode() for name in found)

    async def get(self, name: str) -> WorkPool:
        """Settings and counts. Raises PoolNotFound."""
        root = root_of(name)
        row, running, depth, later, workers = await self._read(
            ("HGETALL", root),
            ("ZCARD", keys.slots(root)),
            ("HVALS", keys.depth(root)),
            ("HVALS", keys.later(root)),
            ("ZCARD", keys.workers(root)),
        )
        if not row:
            raise PoolNotFound(name)
        return WorkPool(
            name=name, type=_text(row[b"type"]), limit=_number(row.get(b"limit")), paused=row.get(b"paused") == b"1",
            description=_text(row.get(b"description")), running=running, queued=sum(map(int, depth)),
            scheduled=sum(map(int, later)), workers=workers,
            retention_ms=_number(row.get(b"retention_ms")) or 86_400_000,
            retention_count=_number(row.get(b"retention_count")) or 100_000,
            crash_budget=_number(row.get(b"crashes")) or 3,
        )  # fmt: skip

    async def delete(self, name: str) -> None:
        """Delete a pool without runs and workers, with its finished runs. Raises PoolHoldsRuns, PoolNotFound."""
        while True:
            reply = await self._link.call("delete_pool", name, self._link.now_ms)
            if reply[0] == b"holds":
                raise PoolHoldsRuns(f"work pool {name!r}", *reply[1:])
            if reply[0] != b"more":
                break
        await self._catalogue("srem", name)
        if reply[0] == b"no_pool":
            raise PoolNotFound(name)

    async def slots(self, name: str, queue: str | None = None, key: str | None = None) -> list[Slot]:
        """Who holds the slots of the pool, of one of its queues or keys; oldest first."""
        root = root_of(name)
        scope = keys.queue_slots(root, queue) if queue else keys.key_slots(root, key) if key else keys.slots(root)
        (members,) = await self._read(("ZRANGE", scope, 0, -1, "WITHSCORES"))
        pairs = [tuple(pair) for pair in members]
        if members and not isinstance(members[0], list | tuple):
            pairs = list(zip(members[::2], members[1::2], strict=True))
        ids = [run_id.decode() for run_id, _ in pairs]
        facts = await self._read(*(("HMGET", keys.facts(root, run_id), "state", "worker") for run_id in ids))
        records = await self._read(*(("GETRANGE", keys.record(root, run_id), 14, 80) for run_id in ids))
        return [
            Slot(run_id, raw.split(b"|", 1)[0].decode(), _text(row[1]), _text(row[0]), _at(score))
            for (run_id, (_, score), row, raw) in zip(ids, pairs, facts, records, strict=True)
        ]


def _at(score: Any) -> datetime:
    return datetime.fromtimestamp(float(score) / 1000, UTC)


class QueueStore(Settings):
    """Work queues."""

    async def create(self, pool: str, name: str, **fields: Any) -> None:
        """Create a queue. Raises PoolNotFound, QueueExists, InvalidInput."""
        await self._change(pool, "create", name, fields)

    async def update(self, pool: str, name: str, **fields: Any) -> None:
        """Change priority, limit, paused, description, start_within (seconds; None: a minute); at once.

        Raises PoolNotFound, QueueNotFound, InvalidInput.
        """
        await self._change(pool, "update", name, fields)

    async def _change(self, pool: str, mode: str, name: str, fields: dict[str, Any]) -> None:
        check_name("queue", name)
        _check_fields("work queue", _QUEUE_FIELDS, fields)
        if fields.get("priority") is None:
            fields.pop("priority", None)
        else:
            check_priority(fields["priority"])
        if "start_within" in fields:
            within = check_start_within(fields.pop("start_within"))
            fields["start_within_ms"] = None if within is None else round(1000 * within)
        reply = await self._link.call("queue", pool, self._link.now_ms, mode, name, *_flat(fields))
        if reply[0] == b"no_pool":
            raise PoolNotFound(pool)
        if reply[0] == b"no_queue":
            raise QueueNotFound(pool, name)
        if reply[0] == b"exists":
            raise QueueExists(pool, name)
        await self._settle(pool, more=bool(reply[1]))

    async def list(self, pool: str) -> list[WorkQueue]:
        """All queues of the pool, best priority first. Raises PoolNotFound."""
        root = root_of(pool)
        known, names, depth, later = await self._read(
            ("EXISTS", root),
            ("ZRANGE", keys.queues(root), 0, -1),
            ("HGETALL", keys.depth(root)),
            ("HGETALL", keys.later(root)),
        )
        if not known:
            raise PoolNotFound(pool)
        rows = await self._read(*(("HGETALL", keys.queue(root, name.decode())) for name in names))
        running = await self._read(*(("ZCARD", keys.queue_slots(root, name.decode())) for name in names))
        return [
            WorkQueue(
                name=name.decode(),
                pool=pool,
                priority=int(row[b"priority"]),
                limit=_number(row.get(b"limit")),
                paused=row.get(b"paused") == b"1",
                description=_text(row.get(b"description")),
                start_within=(_number(row.get(b"start_within_ms")) or START_WITHIN_MS) / 1000,
                running=count,
                queued=int(depth.get(name, 0)),
                scheduled=int(later.get(name, 0)),
            )
            for name, row, count in zip(names, rows, running, strict=True)
            if row
        ]

    async def get(self, pool: str, name: str) -> WorkQueue:
        """One queue. Raises PoolNotFound, QueueNotFound."""
        for queue in await self.list(pool):
            if queue.name == name:
                return queue
        raise QueueNotFound(pool, name)

    async def delete(self, pool: str, name: str, *, cancel: bool = False) -> None:
        """Delete a queue that holds no runs; `cancel` ends them first. Raises QueueHoldsRuns, InvalidInput.

        With `cancel`, running runs are asked to end; while they have not, QueueHoldsRuns says so: call again.
        """
        cursor = 0
        while True:
            reply = await self._link.call("delete_queue", pool, self._link.now_ms, name, int(cancel), cursor)
            status, cursor = reply[0].decode(), reply[4] if len(reply) > 4 else 0
            if status == "default":
                raise InvalidInput("the queue 'default' cannot be deleted: runs without a queue go there")
            if status == "no_queue":
                raise QueueNotFound(pool, name)
            if status == "holds":
                raise QueueHoldsRuns(f"work queue {name!r} of pool {pool!r}", *reply[1:4])
            if status == "deleted":
                return


class LimitStore(Settings):
    """Limits of concurrency keys."""

    async def set(self, pool: str, key: str, limit: int | None, when_full: str = "wait") -> None:
        """Set, or clear with None, the limit of `kind:value` or `kind:*`. Raises PoolNotFound, InvalidInput."""
        check_limit_key(key)
        check_limit(limit)
        value = "" if limit is None else str(limit)
        reply = await self._link.call("limit", pool, self._link.now_ms, key, value, check_when_full(when_full))
        if reply[0] == b"no_pool":
            raise PoolNotFound(pool)
        await self._settle(pool, more=bool(reply[1]))

    async def list(self, pool: str) -> list[KeyLimit]:
        """All limits of the pool, by key. Raises PoolNotFound."""
        root = root_of(pool)
        known, rows = await self._read(("EXISTS", root), ("HGETALL", keys.limits(root)))
        if not known:
            raise PoolNotFound(pool)
        names = sorted(key.decode() for key in rows)
        running = await self._read(*(("ZCARD", keys.key_slots(root, name)) for name in names))
        said = (rows[name.encode()].decode().partition(",") for name in names)
        return [
            KeyLimit(name, int(limit), None if name.endswith(":*") else count, when_full or "wait")
            for name, (limit, _, when_full), count in zip(names, said, running, strict=True)
        ]

    async def running(self, pool: str, key: str) -> int:
        """How many runs hold a slot of this key."""
        (count,) = await self._read(("ZCARD", keys.key_slots(root_of(pool), check_key(key))))
        return int(count)
