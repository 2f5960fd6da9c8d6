"""`sluice queue`: work queues of a pool."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from ..models import WorkQueue
from .asking import DryRun, Yes, may
from .connecting import PoolOption, connected
from .output import TABLE, Column, Output, say, show, show_one, span
from .pool import Description, LimitOption
from .values import duration
from .values import limit as limit_of

app = App(name="queue", help="Work queues: a priority and a limit for some of a pool's runs.")

StartWithin = Annotated[
    str | None, Parameter(help="How soon its runs should be admitted, e.g. 30s; metrics and alerts hold it to that.")
]
Priority = Annotated[int | None, Parameter(help="1 is the highest; equal ones take turns.")]

_COLUMNS: tuple[Column[WorkQueue], ...] = (
    Column("NAME", lambda queue: queue.name),
    Column("PRIORITY", lambda queue: queue.priority),
    Column("STATUS", lambda queue: "paused" if queue.paused else "ready"),
    Column("RUNNING", lambda queue: f"{queue.running}/{'-' if queue.limit is None else queue.limit}"),
    Column("QUEUED", lambda queue: queue.queued),
    Column("SCHEDULED", lambda queue: queue.scheduled),
    Column("START WITHIN", lambda queue: span(queue.start_within), wide=True),
    Column("POOL", lambda queue: queue.pool, wide=True),
    Column("DESCRIPTION", lambda queue: queue.description, wide=True),
)


def _name(queue: WorkQueue) -> str:
    return queue.name


def _fields(**given: Any) -> dict[str, Any]:
    found = {name: value for name, value in given.items() if value is not None}
    if "limit" in found:
        found["limit"] = limit_of(found["limit"])
    if "start_within" in found:
        found["start_within"] = duration(found["start_within"])
    return found


@app.command
async def create(
    name: str,
    /,
    *,
    pool: PoolOption = None,
    priority: Priority = None,
    limit: LimitOption = None,
    description: Description = None,
    start_within: StartWithin = None,
    paused: Annotated[bool, Parameter(help="Admit nothing until it is resumed.")] = False,
) -> None:
    """Create a queue. Without a priority it gets the first free one; publishing into a new name creates it too."""
    async with connected(pool) as client:
        fields = _fields(priority=priority, limit=limit, description=description, start_within=start_within)
        await client.queues.create(name, paused=paused, **fields)
        created = await client.queues.get(name)
    say(f"created work queue {name} with priority {created.priority}")


@app.command
async def ls(*, pool: PoolOption = None, output: Output = TABLE) -> None:
    """List the queues of a pool, best priority first."""
    async with connected(pool) as client:
        show(await client.queues.list(), _COLUMNS, output, _name)


@app.command
async def inspect(name: str, /, *, pool: PoolOption = None, output: Output = TABLE) -> None:
    """Show a queue."""
    async with connected(pool) as client:
        show_one(await client.queues.get(name), _COLUMNS, output, _name)


@app.command
async def update(
    name: str,
    /,
    *,
    pool: PoolOption = None,
    priority: Priority = None,
    limit: LimitOption = None,
    description: Description = None,
    start_within: StartWithin = None,
) -> None:
    """Change a queue, at once."""
    fields = _fields(priority=priority, limit=limit, description=description, start_within=start_within)
    async with connected(pool) as client:
        await client.queues.update(name, **fields)
    say(f"changed work queue {name}")


@app.command
async def pause(name: str, /, *, pool: PoolOption = None) -> None:
    """Admit nothing of this queue until it is resumed; running runs go on."""
    async with connected(pool) as client:
        await client.queues.pause(name)
    say(f"work queue {name} is paused")


@app.command
async def resume(name: str, /, *, pool: PoolOption = None) -> None:
    """Admit again."""
    async with connected(pool) as client:
        await client.queues.resume(name)
    say(f"work queue {name} admits runs")


@app.command
async def delete(
    name: str,
    /,
    *,
    pool: PoolOption = None,
    runs: Annotated[Literal["cancel"] | None, Parameter(help="What to do with its runs.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Delete a queue. One that holds runs is kept, unless they are to be cancelled."""
    async with connected(pool) as client:
        queue = await client.queues.get(name)
        held = f"{queue.queued} queued, {queue.scheduled} scheduled, {queue.running} running"
        if may(f"delete work queue {name} of pool {client.pool} ({held})", yes=yes, dry_run=dry_run):
            await client.queues.delete(name, cancel=runs == "cancel")
            say(f"deleted work queue {name}")
