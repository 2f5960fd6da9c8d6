"""Trying runs again by hand: a terminal run stays as it is, a new one names it. Dead letters, by what they died of."""

import builtins
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .. import codec
from ..errors import NotFound, RunNotFound, RunNotOver
from ..ids import derived_run_id
from ..models import Published, Run
from ..names import bucket_name
from ..store import Found, Store, WireRun

_PAGE = 200
_LONGEST_CAUSE = 120
_REMEDY = "`sluice dead purge RUN` takes it out of the dead letters"


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters that died of the same: `count` of them, the `last` one, up to `runs` ids."""

    reason: str
    cause: str
    count: int
    last: datetime | None
    runs: tuple[str, ...]


def again(run: Run, run_id: str) -> WireRun:
    """A run like that one, to be published now: without its time and deadline, which are over. Raises RunNotOver."""
    if not run.state.is_terminal:
        raise RunNotOver(run.id, run.state.value)
    spec = replace(run.spec, at=None, expires_at=None, retry_of=run.id)
    extra = codec.encode_extra(parent=spec.parent or "", retry_of=run.id)
    return WireRun(
        run_id, bucket_name(run.queue, run.labels, run.keys), extra, codec.encode_spec(spec, codec.HARD_LIMIT)
    )


class DeadLetters:
    """Runs that were given up: their crash budget or their retries are spent. Kept as long as finished runs are."""

    def __init__(self, store: Store, pool: str) -> None:
        self._store, self._pool = store, pool

    async def count(self, *, pool: str | None = None) -> int:
        """How many there are."""
        return await self._store.dead.count(pool or self._pool)

    async def list(self, *, limit: int = 50, pool: str | None = None) -> list[Run]:
        """The latest, newest first. Raises PartlyUnreadable, whose `found` has those that can be read."""
        target = pool or self._pool
        found = await self._store.runs.read_many(target, await self._store.dead.page(target, 0, limit))
        return found.whole("dead letter", _REMEDY)

    async def groups(self, *, pool: str | None = None) -> builtins.list[DeadGroup]:
        """All of them by what they died of, most frequent first.

        Raises PartlyUnreadable, whose `found` has the groups of those that can be read.
        """
        found: dict[tuple[str, str], list[Run]] = {}
        unreadable: dict[str, str] = {}
        async for page in self._pages(pool or self._pool):
            unreadable |= page.unreadable
            for run in page.rows:
                found.setdefault((run.reason, cause_of(run)), []).append(run)
        groups = [
            DeadGroup(reason, cause, len(runs), runs[0].finished_at, tuple(run.id for run in runs))
            for (reason, cause), runs in found.items()
        ]
        return Found(sorted(groups, key=lambda group: -group.count), unreadable).whole("dead letter", _REMEDY)

    async def retry(self, *runs: str, pool: str | None = None) -> builtins.list[Published]:
        """Publish each of them anew and take it out of the dead letters, in one step; sent twice, it is the same run.

        Raises NotFound for one that is no dead letter (any more), PartlyUnreadable for those that cannot be read: then
        those before it were published, 200 at a time.
        """
        target = pool or self._pool
        published: list[Published] = []
        for part in _parts(list(dict.fromkeys(runs))):
            read = await self._store.runs.read_many(target, part)
            found = {run.id: run for run in read.whole("dead letter", _REMEDY)}
            dead = await self._store.dead.among(target, part)
            wires = [again(_dead(run_id, found, dead), _derived(found[run_id])) for run_id in part]
            statuses = await self._store.runs.publish(target, wires)
            published += [Published(wire.id, target, not status) for wire, status in zip(wires, statuses, strict=True)]
        return published

    async def purge(self, *runs: str, pool: str | None = None) -> int:
        """Take these out of the dead letters, or all when none is named; how many. The runs themselves stay."""
        return await self._store.dead.purge(pool or self._pool, runs)

    async def _pages(self, pool: str) -> AsyncGenerator[Found[Run]]:
        start = 0
        while ids := await self._store.dead.page(pool, start, _PAGE):
            yield await self._store.runs.read_many(pool, ids)
            start += _PAGE


def cause_of(run: Run) -> str:
    """The first line of its error, or how it ended; digits are `#`, so that like errors meet."""
    lines = [line for line in run.error.splitlines() if line.strip()]
    text = "".join("#" if letter.isdigit() else letter for letter in (lines[0] if lines else run.reason or run.state))
    while "##" in text:
        text = text.replace("##", "#")
    return text[:_LONGEST_CAUSE]


def _dead(run_id: str, found: dict[str, Run], dead: Iterable[str]) -> Run:
    if run_id not in found:
        raise RunNotFound(run_id)
    if run_id not in dead:
        raise NotFound(f"run {run_id} is no dead letter (any more): `sluice run retry {run_id}` tries any run again")
    return found[run_id]


def _derived(run: Run) -> str:
    """The same id however often it is asked for: this death of this run."""
    return derived_run_id(f"dead:{run.pool}:{run.id}:{run.finished_at}", "retry")


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE)]
