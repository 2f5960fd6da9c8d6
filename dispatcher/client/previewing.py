"""What a pool will start, and when: runs that wait, and the instants of its schedules."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from ..deployments import Stored
from ..models import Run, RunState
from ..schedules import upcoming
from ..store import Found, Store
from ..store.runs import REMEDY
from .deploying import Deployments

MOST = 1000


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A run to come. `run` is its id when it is there already; `late`: it was due before now and does not run yet."""

    due: datetime
    deployment: str
    schedule: str
    queue: str
    run: str = ""
    late: bool = False


async def preview(store: Store, deployments: Deployments, pool: str, hours: float) -> list[Upcoming]:
    """What is due in a pool from now on for so many hours, and what is late; 1,000 at most.

    Raises PoolNotFound; PartlyUnreadable, with what can be said without the runs and deployments that it names.
    """
    await store.pools.get(pool)
    now = await deployments.now()
    end = now + timedelta(hours=hours)
    waiting = await store.lister.find(pool, [RunState.QUEUED, RunState.SCHEDULED], limit=MOST)
    known = await store.deployments.list(pool)
    there = [_of_run(run, now) for run in waiting.rows]
    found = [row for row in there if row.due <= end]
    streams = [_of_schedules(stored, end) for stored in sorted(known.rows, key=lambda stored: stored.name)]
    rows = list(islice(heapq.merge(sorted(found, key=_due), *streams, key=_due), MOST))
    return Found(rows, waiting.unreadable | known.unreadable).whole("run or deployment", REMEDY)


def _due(row: Upcoming) -> datetime:
    return row.due


def _of_run(run: Run, now: datetime) -> Upcoming:
    due = run.scheduled_for or run.published_at or now
    return Upcoming(due, run.spec.deployment or "", run.spec.schedule or "", run.queue, run.id, due < now)


def _of_schedules(stored: Stored, end: datetime) -> Iterator[Upcoming]:
    """The instants of its schedules until then, soonest first."""

    def of(schedule_id: str) -> Iterator[Upcoming]:
        schedule = next(each for each in stored.document.schedules if each.id == schedule_id)
        begin = stored.schedule_state(schedule_id).next_at
        if begin is None:
            return
        for instant in takewhile(lambda at: at <= end, upcoming(schedule, begin - timedelta(milliseconds=1))):
            yield Upcoming(instant, stored.name, schedule_id, stored.document.queue)

    return heapq.merge(*(of(schedule.id) for schedule in stored.document.schedules), key=_due)
