"""From what a file declares and what is there to what is to be done. Pure: nothing is asked, nothing is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from ..client.checking import check_deployment
from ..deployments import Deployment
from ..errors import InvalidInput
from ..models import WorkPool
from .differences import Difference, differences
from .document import Declared, LimitEntry, Manifest, PoolEntry, QueueEntry
from .places import Finding, ManifestFaults
from .state import State

Action = Literal["create", "update", "delete", "unchanged"]
Kind = Literal["pool", "queue", "limit", "deployment"]
_PARTS = {"queues", "limits"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to be done. `wanted` is what it will be, `version` a deployment's that is changed."""

    action: Action
    kind: Kind
    pool: str
    name: str
    differences: tuple[Difference, ...] = ()
    wanted: PoolEntry | QueueEntry | LimitEntry | Deployment | None = None
    version: int = 0
    moved: bool = False

    @property
    def label(self) -> str:
        """Its name for people: that of a queue or limit with its pool's."""
        return f"{self.pool} {self.name}" if self.kind in ("queue", "limit") else self.name


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done, in an order in which it can be."""

    changes: tuple[Change, ...]
    checked: tuple[Declared, ...] = ()

    @property
    def pools(self) -> dict[str, PoolEntry]:
        """Pools of the file as they will be."""
        return {change.name: change.wanted for change in self.changes if isinstance(change.wanted, PoolEntry)}

    @property
    def pending(self) -> list[Change]:
        """What is not there yet."""
        return [change for change in self.changes if change.action != "unchanged"]

    def names(self, action: Action, kind: Kind = "deployment") -> list[str]:
        """The names of what is to be created, deleted, ..."""
        return [change.name for change in self.changes if (change.action, change.kind) == (action, kind)]


def plan(manifest: Manifest, state: State, *, names: Sequence[str] = (), prune: bool = False) -> Plan:
    """What is to be done. `names` are patterns: only such deployments, and the pools they are in.

    `prune` deletes deployments of the pools that the file speaks of, when they are not in it. Pools, queues and limits
    are never deleted. Raises ManifestFaults with all that does not fit what is there.
    """
    chosen = tuple(each for each in manifest.deployments if _matches(each.document.name, names))
    idle = [name for name in names if not any(_matches(each.document.name, [name]) for each in chosen)]
    if chosen:
        idle = [name for name in idle if not set(name) & set("*?[")]  # a pattern may find nothing, a name may not
    if idle and not prune:
        raise InvalidInput(f"{manifest.file} has no deployment {' or '.join(idle)}")
    pools = [name for name in manifest.pools if not names or any(each.document.pool == name for each in chosen)]
    found = [*_pool_faults(manifest, state, pools), *_deployment_faults(manifest, state, chosen)]
    if found:
        raise ManifestFaults(found)
    changes = [change for name in pools for change in _pool(name, manifest.pools[name], state.pools.get(name))]
    order = ("pool", "queue", "limit")
    changes.sort(key=lambda change: order.index(change.kind))
    changes += [_deployment(each.document, state) for each in chosen]
    if prune:
        changes += _pruned(manifest, state, names)
    return Plan(tuple(changes), chosen)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _pool_faults(manifest: Manifest, state: State, pools: Sequence[str]) -> Iterator[Finding]:
    for name in pools:
        wanted, current = manifest.pools[name].type, state.pools.get(name)
        if current and wanted and wanted != current.type:
            text = f"pool {name!r} is there with type {current.type!r}: a type does not change, take another name"
            yield manifest.lines.finding(("pools", name, "type"), text)
        if manifest.pools[name].template and (current.type if current else wanted or "function") == "function":
            text = "function workers execute runs inside themselves and read no template"
            yield manifest.lines.finding(("pools", name, "template"), text)


def _deployment_faults(manifest: Manifest, state: State, chosen: Sequence[Declared]) -> Iterator[Finding]:
    types = {name: entry.type or "function" for name, entry in manifest.pools.items()}
    types |= {name: entry.type or "function" for name, entry in state.pools.items()}
    for each in chosen:
        document = each.document
        if document.pool not in types:
            yield each.finding(
                ("pool",),
                f"there is no work pool {document.pool!r}: name it under `pools` of a sluice.yaml, or create it with"
                f" `sluice pool create {document.pool} --type process`",
            )
            continue
        pool = WorkPool(document.pool, types[document.pool])
        current = state.deployments.get(document.name)
        try:
            check_deployment(document, pool)
            if current and current.pool != document.pool:
                check_deployment(current.document.model_copy(update={"pool": document.pool}), pool)
        except InvalidInput as error:
            yield each.finding((), str(error))


def _pool(name: str, wanted: PoolEntry, current: PoolEntry | None) -> Iterator[Change]:
    settled = _settled(wanted, current, ("type", "paused", "template"))
    settled = settled.model_copy(update={"template": settled.template or None})
    yield _change("pool", name, name, settled, current)
    queues = current.queues if current else {}
    limits = current.limits if current else {}
    for queue, entry in wanted.queues.items():
        had = queues.get(queue)
        yield _change("queue", name, queue, _settled(entry or QueueEntry(), had, ("priority", "paused")), had)
    for key, limit in wanted.limits.items():
        yield _change("limit", name, key, limit, limits.get(key))


def _settled(wanted: Any, current: Any, kept: Sequence[str]) -> Any:
    """What is wanted, with fields that the file leaves out as they are."""
    if current is None:
        return wanted
    left = {name: getattr(current, name) for name in kept if name not in wanted.model_fields_set}
    return wanted.model_copy(update=left)


def _change(kind: Kind, pool: str, name: str, wanted: Any, current: Any) -> Change:
    """A change of a pool, queue or limit. What is new is compared with nothing, its defaults left out."""
    shown = wanted.model_dump(mode="json", exclude=_PARTS, exclude_defaults=current is None)
    if current is None:
        return Change("create", kind, pool, name, differences({}, shown), wanted)
    found = differences(current.model_dump(mode="json", exclude=_PARTS), shown)
    return Change("update" if found else "unchanged", kind, pool, name, found, wanted)


def _deployment(wanted: Deployment, state: State) -> Change:
    stored = state.deployments.get(wanted.name)
    if stored is None:
        found = differences({}, wanted.document())
        return Change("create", "deployment", wanted.pool, wanted.name, found, wanted)
    settled = _with_pauses(wanted, stored.document)
    found = differences(_leaves_of(stored.document), _leaves_of(settled))
    return Change(
        "update" if found else "unchanged",
        "deployment",
        wanted.pool,
        wanted.name,
        found,
        settled,
        stored.version,
        moved=stored.pool != wanted.pool,
    )


def _leaves_of(document: Deployment) -> dict[str, Any]:
    """What it says; the pool always, so that a move shows where from and where to."""
    return {**document.document(), "pool": document.pool}


def _with_pauses(wanted: Deployment, current: Deployment) -> Deployment:
    """Somebody who paused it or a schedule by hand had a reason: only a file that says `paused` changes that."""
    resting = {schedule.id: schedule.paused for schedule in current.schedules}
    schedules = tuple(
        schedule
        if "paused" in schedule.model_fields_set or schedule.id not in resting
        else schedule.model_copy(update={"paused": resting[schedule.id]})
        for schedule in wanted.schedules
    )
    settled = _settled(wanted, current, ("paused",))
    changed: Deployment = settled.model_copy(update={"schedules": schedules})
    return changed


def _pruned(manifest: Manifest, state: State, names: Sequence[str]) -> Iterator[Change]:
    declared = {each.document.name for each in manifest.deployments}
    pools = {*manifest.pools, *(each.document.pool for each in manifest.deployments)}
    for name, stored in sorted(state.deployments.items()):
        if stored.pool in pools and name not in declared and _matches(name, names):
            yield Change("delete", "deployment", stored.pool, name, version=stored.version)
