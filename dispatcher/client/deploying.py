"""Deployments: written, changed, moved, run. What is wrong is said before anything is written."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from .. import codec, tracing
from ..deployments import Deployment, Stored, read_deployment
from ..deployments.instance import Instance, deadline_of, instance_of, keys_of, occurrence_id
from ..errors import (
    DecodeError,
    DeploymentChanged,
    DeploymentExists,
    DeploymentMoving,
    DeploymentNotFound,
    InvalidInput,
    PoolNotFound,
    ScheduleNotFound,
)
from ..job_template import Template
from ..models import Published
from ..schedules import due
from ..spans import begin_publish, published
from ..store import Found, Store, WireRun
from ..store.deployments import REMEDY
from ..store.runs import PUBLISH_AT_ONCE
from .checking import check_deployment, check_run
from .drafting import RunOptions, draft
from .placing import first_rows, limit_of, moved_rows
from .templates import effective_template

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Mapping

    from ..clock import Clock
    from ..schedules import Schedule

_TRIES = 5


def draft_instance(instance: Instance, options: RunOptions, clock: Clock, limit: int) -> WireRun:
    """A run of a deployment as the publish script takes it; `options` come before the deployment's."""
    merged = cast("RunOptions", {**instance.options, **options})
    wire = draft(instance.function, instance.parameters, merged, clock, limit, **instance.facts)
    bucket = "|".join((wire.bucket, *instance.scopes))
    extra = codec.amend_extra(wire.extra, cache=instance.cache) if instance.cache else wire.extra
    return wire._replace(bucket=bucket, extra=extra)


def draft_occurrence(
    stored: Stored, schedule: Schedule, instant_ms: int, clock: Clock, limit: int, *, traceparent: str | None = None
) -> WireRun:
    """The run of a schedule at an instant: its id says both, so it is made once."""
    instance = instance_of(stored, schedule=schedule)
    at = due(schedule, stored.name, datetime.fromtimestamp(instant_ms / 1000, UTC))
    options: RunOptions = {
        "keys": keys_of(stored.document, instance.parameters),
        "at": at,
        "expires": deadline_of(stored.document, at),
        "run_id": occurrence_id(stored.name, schedule.id, instant_ms),
        "traceparent": traceparent,
    }
    return draft_instance(instance, options, clock, limit)


async def finish_move(store: Store, pool: str, name: str, target: str = "") -> str:
    """Take a deployment to another pool, whatever was done of it before; the pool where it is then. Repeatable.

    Whoever finds one on its way calls this, without a target: its schedules go on there where they stopped here. Where
    that pool is no more, it stays. Raises DeploymentNotFound, PoolNotFound.
    """
    target, document, states = await store.deployments.begin_move(pool, name, target)
    moved = document.model_copy(update={"pool": target})
    try:
        await store.deployments.put(moved, moved_rows(moved, states), limit_of(moved), expect=0)
    except (DeploymentChanged, DeploymentMoving):
        pass  # somebody took it there, and it was changed, or went on, since
    except PoolNotFound:
        await store.deployments.stay(pool, name, target)
        raise
    await store.deployments.delete(pool, name)  # before the catalogue: until then whoever asks for it finds the move
    if await store.deployments.pool_of(name) in {pool, None}:
        await store.deployments.note_name(name, target)
    return target


class Deployments:
    """Deployments of all pools; a name belongs to one."""

    def __init__(self, store: Store, pool: str, clock: Clock, limit: int) -> None:
        self._all, self._store, self._pool = store, store.deployments, pool
        self._clock, self._limit = clock, limit

    async def now(self) -> datetime:
        """The server's time."""
        return datetime.fromtimestamp((await self._store.agenda(self._pool, 1)).now_ms / 1000, UTC)

    async def put(self, deployment: Deployment, *, expect: int = -1) -> Stored:
        """Create it or change it; the same again changes nothing. `expect`: 0 it must be new, else this version.

        Raises InvalidInput (nothing was changed), PoolNotFound, DeploymentExists, DeploymentChanged, DeploymentMoving.
        """
        await self.check(deployment)
        name, pool = deployment.name, deployment.pool
        await self._claim(name, pool)
        before, agenda = await self._at_rest(name, pool), await self._store.agenda(pool, 1)
        if before is None and (other := await self._look_for(name)) and other.pool != pool:
            raise DeploymentExists(name, other.pool)
        rows = first_rows(deployment, agenda.now_ms, before, agenda.ahead_ms)
        try:
            _, version = await self._store.put(deployment, rows, limit_of(deployment), expect)
        except DeploymentChanged:
            if expect:
                raise
            raise DeploymentExists(name, pool) from None
        if version == 1:
            await self._confirm(name, pool)
        return await self.get(name, pool=pool)

    async def check(self, deployment: Deployment) -> None:
        """Raise InvalidInput or PoolNotFound, with all that is wrong, and write nothing."""
        pool = await self._all.pools.get(deployment.pool)
        check_deployment(deployment, pool, await self._template(deployment.pool))

    async def _template(self, pool: str) -> Template | None:
        """What governs job variables in a pool; None for functions, and where its worker type is not installed."""
        stored = await self._all.pools.template(pool)
        if stored.worker_type == "function":
            return None
        try:
            return Template(effective_template(stored))
        except InvalidInput:  # its workers know
            return None

    async def get(self, name: str, *, pool: str | None = None) -> Stored:
        """The deployment of that name. Raises DeploymentNotFound; DecodeError when it cannot be read."""
        known = pool or await self._store.pool_of(name)
        found = await self._store.get(known, name) if known else None
        if found is None and pool is None:  # the catalogue is a hint
            found = await self._look_for(name)
        if found is None:
            raise DeploymentNotFound(name, pool)
        return found

    async def list(self, *, pool: str | None = None) -> builtins.list[Stored]:
        """All deployments of a pool, or of all pools, by name.

        Raises PartlyUnreadable when some cannot be read: its `found` has the others, so none is left out unseen.
        """
        pools = [pool] if pool else await self._all.pools.names()
        found = Found[Stored]([], {})
        for each in pools:
            there = await self._store.list(each)
            found.rows.extend(there.rows)
            found.unreadable.update(there.unreadable)
        found.rows.sort(key=lambda stored: (stored.name, stored.pool))
        return found.whole("deployment", REMEDY)

    async def update(self, name: str, *, pool: str | None = None, **changes: Any) -> Stored:
        """Change fields of its document. Raises DeploymentNotFound, InvalidInput."""
        if "pool" in changes or "name" in changes:
            raise InvalidInput("a deployment keeps its name; `move` takes it to another pool")

        def changed(document: Deployment) -> Deployment:
            return read_deployment({**document.document(), **changes})

        return await self._change(name, pool, changed)

    async def move(self, name: str, target: str) -> Stored:
        """Take it to another pool, with its schedules where they are. Its runs stay. Raises PoolNotFound."""
        for _ in range(_TRIES):
            stored = await self._arrived(name)
            if stored.pool == target:
                break
            await self.check(stored.document.model_copy(update={"pool": target}))
            with suppress(DeploymentNotFound):  # somebody took it elsewhere meanwhile
                await finish_move(self._all, stored.pool, name, target)
        return await self.get(name)

    async def delete(self, name: str, *, pool: str | None = None) -> None:
        """Remove it and its schedules, also when it cannot be read; its runs go on. Raises DeploymentNotFound."""
        try:
            homes = [(await self._arrived(name, pool)).pool]
        except DecodeError:  # where it is can be known without knowing what it says
            homes = [pool] if pool else await self._store.pools_with(name, await self._all.pools.names())
        for home in homes:
            await self._store.delete(home, name)
        if await self._store.pool_of(name) in homes:
            await self._store.note_name(name, None)

    async def pause(self, name: str, *, schedule: str | None = None) -> Stored:
        """Its schedules rest, or one of them; runs by hand go on. Raises DeploymentNotFound, ScheduleNotFound."""
        return await self._set_paused(name, schedule, paused=True)

    async def resume(self, name: str, *, schedule: str | None = None) -> Stored:
        """Its schedules go on with their next instant. Raises DeploymentNotFound, ScheduleNotFound."""
        return await self._set_paused(name, schedule, paused=False)

    async def run(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        pool: str | None = None,
        schedule: str | None = None,
        **options: Any,
    ) -> Published:
        """Publish a run of it. Options are RunOptions and come before the deployment's; `schedule`: as that one would.

        Raises DeploymentNotFound, ScheduleNotFound, InvalidInput.
        """
        stored = await self.get(name, pool=pool)
        of = schedule_of(stored, schedule) if schedule else None
        instance = instance_of(stored, parameters, options.pop("job_variables", None), of)
        if template := await self._template(stored.pool):
            check_run(template, stored.document, instance.options["job_variables"])
        options["keys"] = (*keys_of(stored.document, instance.parameters), *options.get("keys", ()))
        if not tracing.is_on():
            return await self._publish(stored, instance, options)
        with begin_publish(stored.pool, [{**instance.options, **options}]) as span:
            run = await self._publish(stored, instance, span.carried(options))
            span.say(published(run.id))
            return run

    async def _publish(self, stored: Stored, instance: Instance, options: dict[str, Any]) -> Published:
        wire = draft_instance(instance, _with_deadline(stored, options), self._clock, self._limit)
        (status,) = await self._all.runs.publish(stored.pool, [wire], options.get("durability"))
        if status.startswith("same "):
            return Published(status[5:], stored.pool, is_new=False)
        return Published(wire.id, stored.pool, is_new=not status or not options.get("run_id"))

    async def backfill(self, name: str, schedule: str, instants: Iterable[datetime]) -> builtins.list[Published]:
        """Publish the runs of a schedule at these instants; those that are there already are not repeated.

        They may overlap, within the deployment's limit, and do not expire.
        """
        stored = await self.get(name)
        of = schedule_of(stored, schedule).model_copy(update={"when_full": None})
        times = [round(instant.timestamp() * 1000) for instant in instants]
        if not tracing.is_on():
            return await self._backfill(stored, of, times, None)
        with begin_publish(stored.pool, [{"queue": stored.document.queue}] * len(times)) as span:
            return await self._backfill(stored, of, times, span.traceparent)

    async def _backfill(
        self, stored: Stored, of: Schedule, times: Iterable[int], traceparent: str | None
    ) -> builtins.list[Published]:
        late = replace_expiry(stored)
        runs = [draft_occurrence(late, of, at, self._clock, self._limit, traceparent=traceparent) for at in times]
        found: builtins.list[Published] = []
        for start in range(0, len(runs), PUBLISH_AT_ONCE):
            part = runs[start : start + PUBLISH_AT_ONCE]
            statuses = await self._all.runs.publish(stored.pool, part)
            found += [Published(run.id, stored.pool, not status) for run, status in zip(part, statuses, strict=True)]
        return found

    async def _claim(self, name: str, pool: str) -> None:
        other = await self._store.claim_name(name, pool)
        if other == pool:
            return
        if await self._store.get(other, name):
            raise DeploymentExists(name, other)
        await self._store.note_name(name, pool)
        if await self._store.get(other, name):  # whoever noted it there wrote it just now
            await self._store.note_name(name, other)
            raise DeploymentExists(name, other)

    async def _look_for(self, name: str) -> Stored | None:
        """Look in every pool, and correct the catalogue; where a move was left, in the one that it leaves."""
        homes = await self._store.pools_with(name, await self._all.pools.names())
        found = [stored for home in homes if (stored := await self._store.get(home, name))]
        if not found:
            return None
        stored = next((each for each in found if each.moving_to), found[0])
        await self._store.note_name(name, stored.pool)
        return stored

    async def _confirm(self, name: str, pool: str) -> None:
        """It is new: when somebody wrote the name in another pool meanwhile, whoever the catalogue names has it."""
        other = await self._store.claim_name(name, pool)
        if other == pool:
            return
        if await self._store.get(other, name):
            await self._store.delete(pool, name)
            raise DeploymentExists(name, other)
        await self._store.note_name(name, pool)

    async def _at_rest(self, name: str, pool: str) -> Stored | None:
        """The deployment in that pool. Raises DeploymentExists when it was on its way elsewhere, and is there now."""
        stored = await self._store.get(pool, name)
        if stored and stored.moving_to:
            await self._finish(stored)
            if not await self._store.get(pool, name):
                raise DeploymentExists(name, stored.moving_to)
            stored = await self._store.get(pool, name)
        return stored

    async def _arrived(self, name: str, pool: str | None = None) -> Stored:
        """The deployment where it is when its move, if one was begun, is over. Raises DeploymentNotFound."""
        stored = await self.get(name, pool=pool)
        if stored.moving_to:
            await self._finish(stored)
            stored = await self.get(name, pool=pool)
        return stored

    async def _finish(self, stored: Stored) -> None:
        with suppress(DeploymentNotFound, PoolNotFound):  # somebody else did; its target is gone, and it stays
            await finish_move(self._all, stored.pool, stored.name)

    async def _set_paused(self, name: str, schedule: str | None, *, paused: bool) -> Stored:
        def changed(document: Deployment) -> Deployment:
            if schedule is None:
                return document.model_copy(update={"paused": paused})
            schedule_of(document, schedule)
            found = (
                each.model_copy(update={"paused": paused}) if each.id == schedule else each
                for each in document.schedules
            )
            return document.model_copy(update={"schedules": tuple(found)})

        return await self._change(name, None, changed)

    async def _change(self, name: str, pool: str | None, changed: Any) -> Stored:
        """Read, change, write if nobody else did meanwhile, else again."""
        for tries in range(_TRIES):
            stored = await self._arrived(name, pool)
            try:
                return await self.put(changed(stored.document), expect=stored.version)
            except DeploymentChanged:
                if tries == _TRIES - 1:
                    raise
        raise AssertionError("not reached")


def schedule_of(stored: Stored | Deployment, schedule_id: str) -> Schedule:
    """A schedule of a deployment by its id. Raises ScheduleNotFound."""
    document = stored.document if isinstance(stored, Stored) else stored
    for schedule in document.schedules:
        if schedule.id == schedule_id:
            return schedule
    raise ScheduleNotFound(document.name, schedule_id, [schedule.id for schedule in document.schedules])


def replace_expiry(stored: Stored) -> Stored:
    """The same without its expiry: a run that is made good is late by nature."""
    return replace(stored, document=stored.document.model_copy(update={"expires": None}))


def _with_deadline(stored: Stored, options: dict[str, Any]) -> RunOptions:
    """Its expiry counts from when the run is due."""
    expires = stored.document.expires
    if expires is None or options.get("expires") is not None:
        return cast("RunOptions", options)
    if isinstance(options.get("at"), datetime):
        return cast("RunOptions", {**options, "expires": options["at"] + timedelta(seconds=expires)})
    delay = options.get("delay") or 0
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    return cast("RunOptions", {**options, "expires": seconds + expires})
