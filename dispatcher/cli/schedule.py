"""`sluice schedule`: when deployments are due. A schedule is DEPLOYMENT/ID."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from ..errors import InvalidInput
from .asking import DryRun, Yes, may
from .connecting import OnlyPool, connected
from .failures import ExitCode
from .listing import show_list, what_can_be_read
from .output import TABLE, Column, Output, say
from .values import instant, parameters

if TYPE_CHECKING:
    from ..client import Client
    from ..deployments import Stored
    from ..schedules import Schedule

app = App(name="schedule", help="Schedules of deployments: see, pause, preview, trigger and backfill them.")

Name = Annotated[str, Parameter(help="DEPLOYMENT/ID, or DEPLOYMENT alone when it has one schedule.")]
_MOST = 1000


@dataclass(frozen=True)
class Row:
    """A schedule and where it is."""

    name: str
    due: str
    next_at: datetime | None
    last_at: datetime | None
    state: str
    fired: int
    missed: int
    pool: str
    overlap: str
    misfire: str


_COLUMNS: tuple[Column[Row], ...] = (
    Column("SCHEDULE", lambda row: row.name),
    Column("DUE", lambda row: row.due),
    Column("NEXT", lambda row: row.next_at),
    Column("LAST", lambda row: row.last_at),
    Column("STATE", lambda row: row.state),
    Column("RUNS", lambda row: row.fired or None),
    Column("MISSED", lambda row: row.missed or None),
    Column("POOL", lambda row: row.pool, wide=True),
    Column("OVERLAP", lambda row: row.overlap, wide=True),
    Column("MISFIRE", lambda row: row.misfire, wide=True),
)


def _rows(stored: "Stored") -> Iterator[Row]:
    from ..schedules import describe

    for schedule in stored.document.schedules:
        at = stored.schedule_state(schedule.id)
        state = "paused" if schedule.paused or stored.document.paused else "ready" if at.next_at else "over"
        yield Row(
            f"{stored.name}/{schedule.id}", describe(schedule), at.next_at, at.last_at, state, at.fired, at.missed,
            stored.pool, schedule.when_full or "allowed", schedule.misfire,
        )  # fmt: skip


def split_name(name: str) -> tuple[str, str | None]:
    """Deployment and schedule id."""
    deployment, slash, schedule = name.partition("/")
    return deployment, schedule if slash else None


def _one(stored: "Stored", schedule_id: str | None) -> str:
    ids = [schedule.id for schedule in stored.document.schedules]
    if schedule_id is None and len(ids) != 1:
        which = ": say which, " + " or ".join(f"{stored.name}/{each}" for each in ids) if ids else ""
        raise InvalidInput(f"deployment {stored.name!r} has {len(ids) or 'no'} schedules{which}")
    return schedule_id or ids[0]


async def _deployments(client: "Client", name: str | None, pool: str | None) -> "list[Stored]":
    return [await client.deployments.get(name)] if name else await client.deployments.list(pool=pool)


@app.command
async def ls(
    deployment: Annotated[str | None, Parameter(help="Only those of this deployment.")] = None, /, *,
    pool: OnlyPool = None, output: Output = TABLE,
) -> int:  # fmt: skip
    """List schedules and where they are."""
    async with connected(pool) as client:
        stored, error = await what_can_be_read(_deployments(client, deployment, pool))
    return show_list([row for each in stored for row in _rows(each)], error, _COLUMNS, output, lambda row: row.name)


@app.command
async def pause(*schedules: Name) -> None:
    """Let schedules rest."""
    await _each(schedules, paused=True)


@app.command
async def resume(*schedules: Name) -> None:
    """Let schedules go on, with their next instant."""
    await _each(schedules, paused=False)


async def _each(schedules: tuple[str, ...], *, paused: bool) -> None:
    async with connected() as client:
        for name in schedules:
            deployment, schedule_id = split_name(name)
            found = _one(await client.deployments.get(deployment), schedule_id)
            change = client.deployments.pause if paused else client.deployments.resume
            await change(deployment, schedule=found)
            say(f"schedule {deployment}/{found} {'is paused' if paused else 'goes on'}")


@app.command
async def preview(
    schedule: Name, /, *,
    count: Annotated[int, Parameter(help="How many instants.")] = 10,
    after: Annotated[str | None, Parameter(help="From this instant on; now when not given.")] = None,
) -> None:  # fmt: skip
    """Print the next instants of a schedule, in its zone."""
    async with connected() as client:
        deployment, schedule_id = split_name(schedule)
        stored = await client.deployments.get(deployment)
        found = _schedule(stored, _one(stored, schedule_id))
        begin = instant(after) if after else await client.deployments.now()
    from itertools import islice
    from zoneinfo import ZoneInfo

    from ..schedules import upcoming

    for each in islice(upcoming(found, begin), max(0, min(count, _MOST))):
        print(each.astimezone(ZoneInfo(found.timezone)).isoformat())


@app.command
async def trigger(
    schedule: Name, /, *,
    param: Annotated[tuple[str, ...], Parameter(help="name=value over the schedule's; repeatable.")] = (),
) -> None:  # fmt: skip
    """Publish a run now as the schedule would, and print its id. The schedule stays where it is."""
    async with connected() as client:
        deployment, schedule_id = split_name(schedule)
        found = _one(await client.deployments.get(deployment), schedule_id)
        print((await client.deployments.run(deployment, parameters(param, None), schedule=found)).id)


@app.command
async def backfill(
    schedule: Name, /, *,
    start: Annotated[str, Parameter(name="--from", help="The first instant that counts, with its zone.")],
    end: Annotated[str, Parameter(name="--to", help="The last one.")],
    yes: Yes = False, dry_run: DryRun = False,
) -> int:  # fmt: skip
    """Publish the runs of all instants between two; those that are there already are not repeated."""
    async with connected() as client:
        deployment, schedule_id = split_name(schedule)
        stored = await client.deployments.get(deployment)
        found = _one(stored, schedule_id)
        instants = list(_between(_schedule(stored, found), instant(start), instant(end)))
        if not may(f"publish {len(instants)} runs of {deployment}/{found}", yes=yes, dry_run=dry_run):
            return ExitCode.OK
        published = await client.deployments.backfill(deployment, found, instants)
    new = sum(run.is_new for run in published)
    say(f"{new} runs published" + (f", {len(published) - new} were there" if new < len(published) else ""))
    return ExitCode.OK


def _schedule(stored: "Stored", schedule_id: str) -> "Schedule":
    from ..client.deploying import schedule_of

    return schedule_of(stored, schedule_id)


def _between(schedule: "Schedule", start: datetime, end: datetime) -> Iterator[datetime]:
    from datetime import timedelta

    from ..schedules import upcoming

    for number, each in enumerate(upcoming(schedule, start - timedelta(milliseconds=1))):
        if each > end:
            return
        if number >= 10 * _MOST:
            raise InvalidInput(f"more than {10 * _MOST:,} instants: backfill a shorter time")
        yield each
