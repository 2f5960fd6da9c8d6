"""Deployments of a pool and where their schedules are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import codec, keys
from ..deployments import Deployment, ScheduleState, Stored, name_of, read_deployment, slug_of
from ..errors import (
    DecodeError,
    DeploymentChanged,
    DeploymentMoving,
    DeploymentNotFound,
    InvalidInput,
    PoolNotFound,
)
from .found import Found
from .link import Link, root_of

if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence

    from .runs import WireRun

AT_ONCE = 64
KEEPS_ALL = "*"
REMEDY = "Is it of a newer release? `sluice deployment delete` removes it and its schedules, which rest meanwhile"


class ScheduleRow(NamedTuple):
    """A schedule as `deploy` takes it: `timing` changes when its instants do; no `next_ms`: it has none.

    `last_ms` is where it was in another pool. `kept` has run ids, by commas, of instants that stay when its timing
    changes; KEEPS_ALL: all do.
    """

    id: str
    timing: str
    next_ms: int | None
    overlap: str = ""
    last_ms: int | None = None
    kept: str = ""


class Due(NamedTuple):
    """A schedule that is to act at the instant `next_ms`, as its deployment says in this `edition` (writing of it)."""

    member: str
    next_ms: int
    edition: str

    @property
    def slug(self) -> str:
        """Its deployment's name as it stands in keys."""
        return self.member.partition("/")[0]

    @property
    def id(self) -> str:
        """Its name within the deployment."""
        return self.member.partition("/")[2]


class Agenda(NamedTuple):
    """The server's time, the first schedules, and deployments on their way (slug, pool).

    A schedule may act `ahead_ms` before its instant: workers prepare its run.
    """

    now_ms: int
    ahead_ms: int
    schedules: list[Due]
    moving: list[tuple[str, str]]


class Fire(NamedTuple):
    """What a schedule does at its instant: the runs, and where it goes on."""

    due: Due
    next_ms: int | None
    missed: int
    runs: Sequence[WireRun]


def _text(ms: int | None) -> str:
    return "" if ms is None else str(ms)


def _when(ms: bytes | float | None) -> datetime | None:
    return datetime.fromtimestamp(float(ms) / 1000, UTC) if ms else None


class DeploymentStore:
    """Transitions and readings of deployments and schedules."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def put(
        self, document: Deployment, schedules: Sequence[ScheduleRow], limit: str, expect: int = -1
    ) -> tuple[str, int]:
        """Write it; 'ok' or 'unchanged', and its version. `expect`: 0 it must be new, -1 whatever there is. Repeatable.

        Raises PoolNotFound, DeploymentChanged, DeploymentMoving.
        """
        flat = [
            part
            for row in schedules
            for part in (row.id, row.timing, _text(row.next_ms), row.overlap, _text(row.last_ms), row.kept)
        ]
        packed = codec.pack(document.document())
        slug, pool = slug_of(document.name), document.pool
        reply = await self._link.call("deploy", pool, self._link.now_ms, slug, expect, packed, limit, *flat)
        status = reply[0].decode()
        if status == "no_pool":
            raise PoolNotFound(pool)
        if status == "conflict":
            raise DeploymentChanged(document.name, int(reply[1]))
        if status == "moving":
            raise DeploymentMoving(document.name, reply[1].decode())
        await self._settle(pool, more=bool(reply[2]))
        return status, int(reply[1])

    async def delete(self, pool: str, name: str) -> bool:
        """Remove it from that pool; False when it is not there. Its runs go on. Repeatable."""
        status, more = await self._link.call("undeploy", pool, self._link.now_ms, slug_of(name))
        await self._settle(pool, more=bool(more))
        return bool(status == b"ok")

    async def begin_move(
        self, pool: str, name: str, target: str
    ) -> tuple[str, Deployment, builtins.list[ScheduleState]]:
        """Stop its schedules here; where it goes (an earlier move comes first), what it is, where they are. Repeatable.

        Without a target only what was begun goes on. Raises DeploymentNotFound.
        """
        reply = await self._link.call("move", pool, self._link.now_ms, slug_of(name), target, "")
        if reply[0] == b"missing":
            raise DeploymentNotFound(name)
        states = [
            ScheduleState(schedule.decode(), _when(next_ms or None), _when(last_ms or None))
            for schedule, next_ms, last_ms in zip(reply[4::3], reply[5::3], reply[6::3], strict=True)
        ]
        return reply[1].decode(), _document(slug_of(name), reply[3]), states

    async def stay(self, pool: str, name: str, gone: str) -> None:
        """It was on its way to a pool that is no more: its schedules go on here. Repeatable."""
        await self._link.call("move", pool, self._link.now_ms, slug_of(name), "", gone)

    async def get(self, pool: str, name: str) -> Stored | None:
        """The deployment of that name in that pool. Raises DecodeError."""
        found = await self._read_many(pool, [slug_of(name)])
        if found.unreadable:
            raise DecodeError(f"deployment {name!r} cannot be read: {found.unreadable[name]}. {REMEDY}")
        return found.rows[0] if found.rows else None

    async def list(self, pool: str) -> Found[Stored]:
        """All deployments of a pool, by name, and those that cannot be read."""
        (slugs,) = await self._link.execute([("ZRANGE", keys.deployments(root_of(pool)), 0, -1)])
        return await self._read_many(pool, [slug.decode() for slug in slugs])

    async def agenda(self, pool: str, most: int = AT_ONCE) -> Agenda:
        """What the schedulers have to do."""
        now, ahead, moving, rows = await self._link.call("agenda", pool, self._link.now_ms, most)
        texts = [value.decode() for value in rows]
        found = [
            Due(member, int(float(next_ms)), edition)
            for member, next_ms, edition in zip(texts[::3], texts[1::3], texts[2::3], strict=True)
            if edition
        ]
        slugs = [value.decode() for value in moving]
        return Agenda(now, ahead, found, list(zip(slugs[::2], slugs[1::2], strict=True)))

    async def fire(self, pool: str, fires: Sequence[Fire]) -> builtins.list[str]:
        """Publish and go on: 'fired', 'stale', 'early' or 'deleting' for each. Exactly once an instant. Repeatable."""
        flat: builtins.list[str | bytes] = []
        for fire in fires:
            due = fire.due
            flat += [due.member, str(due.next_ms), due.edition, _text(fire.next_ms)]
            flat += [str(fire.missed), str(len(fire.runs))]
            for run in fire.runs:
                flat += run
        reply = await self._link.call("fire", pool, self._link.now_ms, *flat)
        if reply[0] == b"no_pool":
            raise PoolNotFound(pool)
        return [status.decode() for status in reply[3:]]

    async def claim_name(self, name: str, pool: str) -> str:
        """Note in the catalogue that it lives in that pool, unless it says another; the pool it says."""
        claimed, known = await self._link.execute(
            [("HSETNX", keys.DEPLOYMENTS, name, pool), ("HGET", keys.DEPLOYMENTS, name)]
        )
        return pool if claimed or not known else known.decode()

    async def note_name(self, name: str, pool: str | None) -> None:
        """Correct the catalogue; None: there is no such deployment."""
        command = ("HDEL", keys.DEPLOYMENTS, name) if pool is None else ("HSET", keys.DEPLOYMENTS, name, pool)
        await self._link.execute([command])

    async def pool_of(self, name: str) -> str | None:
        """The pool that the catalogue says; a hint."""
        (known,) = await self._link.execute([("HGET", keys.DEPLOYMENTS, name)])
        return known.decode() if known else None

    async def pools_with(self, name: str, pools: Sequence[str]) -> builtins.list[str]:
        """Which of these pools have a deployment of that name."""
        slug = slug_of(name)
        rows = await self._link.execute([("ZSCORE", keys.deployments(root_of(pool)), slug) for pool in pools])
        return [pool for pool, row in zip(pools, rows, strict=True) if row is not None]

    async def _read_many(self, pool: str, slugs: Sequence[str]) -> Found[Stored]:
        root = root_of(pool)
        rows = await self._link.execute([("HGETALL", keys.deployment(root, slug)) for slug in slugs])
        found = [(slug, row) for slug, row in zip(slugs, rows, strict=True) if row]
        members = [
            f"{slug}/{part}"
            for slug, row in found
            for part in row.get(b"schedules", b"").decode(errors="replace").split(",")
            if part
        ]
        states = await self._states(root, members)
        read = Found[Stored]([], {})
        for slug, row in found:
            try:
                read.rows.append(_stored(slug, row, states))
            except (InvalidInput, ValueError, TypeError, LookupError) as error:
                read.unreadable[name_of(slug)] = str(error)
        return read

    async def _states(self, root: str, members: Sequence[str]) -> dict[str, ScheduleState]:
        commands: builtins.list[tuple[Any, ...]] = []
        for member in members:
            commands += [("HGETALL", keys.schedule(root, member)), ("ZSCORE", keys.schedules(root), member)]
        rows = await self._link.execute(commands)
        return {
            member: ScheduleState(
                member.partition("/")[2], _when(next_ms), _when(row.get(b"last")),
                int(row.get(b"fired", 0)), int(row.get(b"missed", 0)),
            )
            for member, row, next_ms in zip(members, rows[::2], rows[1::2], strict=True)
        }  # fmt: skip

    async def _settle(self, pool: str, *, more: bool) -> None:
        while more:
            more = bool((await self._link.call("sweep", pool, self._link.now_ms))[0])


def _stored(slug: str, row: dict[bytes, bytes], states: dict[str, ScheduleState]) -> Stored:
    document = _document(slug, row[b"document"])
    return Stored(
        document,
        int(row[b"version"]),
        _when(row.get(b"created")),
        _when(row.get(b"updated")),
        tuple(states[f"{slug}/{schedule.id}"] for schedule in document.schedules if f"{slug}/{schedule.id}" in states),
        row.get(b"moving", b"").decode(),
        row.get(b"edition", b"").decode(),
    )


def _document(slug: str, packed: bytes) -> Deployment:
    name = name_of(slug)
    try:
        return read_deployment(codec.unpack(packed) | {"name": name})
    except (InvalidInput, TypeError) as error:
        raise DecodeError(f"the document of deployment {name!r}: {error}") from None
