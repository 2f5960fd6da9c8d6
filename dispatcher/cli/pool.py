"""`sluice pool`: work pools."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from ..models import Slot, WorkPool
from .asking import DryRun, Yes, may
from .connecting import connected
from .output import TABLE, Column, Output, say, show, show_one
from .preview import preview
from .values import duration
from .values import limit as limit_of

app = App(name="pool", help="Work pools: each holds runs back for one type of worker.")

LimitOption = Annotated[str | None, Parameter(name="--limit", help="Most runs at once; `none` for no limit.")]
Description = Annotated[str | None, Parameter(help="What it is for.")]
Retention = Annotated[str | None, Parameter(help="How long finished runs are kept, e.g. 12h.")]
RetentionCount = Annotated[int | None, Parameter(help="How many finished runs are kept.")]
Crashes = Annotated[int | None, Parameter(help="How often a run may lose its worker before it is given up.")]

COLUMNS: tuple[Column[WorkPool], ...] = (
    Column("NAME", lambda pool: pool.name),
    Column("TYPE", lambda pool: pool.type),
    Column("STATUS", lambda pool: _status(pool)),  # noqa: PLW0108 - it is defined below
    Column("RUNNING", lambda pool: f"{pool.running}/{'-' if pool.limit is None else pool.limit}"),
    Column("QUEUED", lambda pool: pool.queued),
    Column("SCHEDULED", lambda pool: pool.scheduled),
    Column("WORKERS", lambda pool: pool.workers),
    Column("CRASHES", lambda pool: pool.crash_budget, wide=True),
    Column("RETENTION", lambda pool: f"{pool.retention_ms // 1000} s, {pool.retention_count} runs", wide=True),
    Column("DESCRIPTION", lambda pool: pool.description, wide=True),
)
_SLOTS: tuple[Column[Slot], ...] = (
    Column("RUN", lambda slot: slot.run_id),
    Column("STATE", lambda slot: slot.state),
    Column("QUEUE", lambda slot: slot.queue),
    Column("WORKER", lambda slot: slot.worker),
    Column("SINCE", lambda slot: slot.since),
)


def _status(pool: WorkPool) -> str:
    """Whether it would run something now."""
    if pool.paused:
        return "paused"
    return "ready" if pool.workers else "no workers"


def _name(pool: WorkPool) -> str:
    return pool.name


def _fields(**given: Any) -> dict[str, Any]:
    """The fields of a pool that were given, as the client takes them."""
    found = {name: value for name, value in given.items() if value is not None}
    if "limit" in found:
        found["limit"] = limit_of(found["limit"])
    if "retention" in found:
        found["retention_ms"] = round(1000 * duration(found.pop("retention")))
    return found


@app.command
async def create(
    name: str,
    /,
    *,
    type: Annotated[str, Parameter(help="The type of its workers.")] = "function",
    limit: LimitOption = None,
    description: Description = None,
    paused: Annotated[bool, Parameter(help="Admit nothing until it is resumed.")] = False,
    retention: Retention = None,
    retention_count: RetentionCount = None,
    crashes: Crashes = None,
    if_missing: Annotated[bool, Parameter(help="One of that type that is there already will do.")] = False,
) -> None:
    """Create a pool."""
    fields = _fields(
        limit=limit, description=description, retention=retention, retention_count=retention_count, crashes=crashes
    )
    async with connected() as client:
        is_new = await client.pools.create(name, type=type, paused=paused, if_missing=if_missing, **fields)
    say(f"created work pool {name}" if is_new else f"work pool {name} is there already; it was left as it is")


@app.command
async def ls(*, output: Output = TABLE) -> None:
    """List the pools."""
    async with connected() as client:
        show(await client.pools.list(), COLUMNS, output, _name)


@app.command
async def inspect(name: str, /, *, output: Output = TABLE) -> None:
    """Show a pool."""
    async with connected() as client:
        show_one(await client.pools.get(name), COLUMNS, output, _name)


@app.command
async def update(
    name: str,
    /,
    *,
    limit: LimitOption = None,
    description: Description = None,
    retention: Retention = None,
    retention_count: RetentionCount = None,
    crashes: Crashes = None,
) -> None:
    """Change a pool, at once. Lowering a limit ends nothing: no more is admitted until there is room."""
    fields = _fields(
        limit=limit, description=description, retention=retention, retention_count=retention_count, crashes=crashes
    )
    async with connected() as client:
        await client.pools.update(name, **fields)
    say(f"changed work pool {name}")


@app.command
async def pause(name: str, /) -> None:
    """Admit nothing until it is resumed; running runs go on."""
    async with connected() as client:
        await client.pools.pause(name)
    say(f"work pool {name} is paused")


@app.command
async def resume(name: str, /) -> None:
    """Admit again."""
    async with connected() as client:
        await client.pools.resume(name)
    say(f"work pool {name} admits runs")


@app.command
async def delete(
    name: str,
    /,
    *,
    runs: Annotated[Literal["cancel"] | None, Parameter(help="What to do with its runs.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Delete a pool with its queues, limits and finished runs. One with other runs or workers is kept."""
    async with connected() as client:
        pool = await client.pools.get(name)
        what = f"delete work pool {name} ({pool.queued} queued, {pool.scheduled} scheduled, {pool.running} running)"
        if may(what, yes=yes, dry_run=dry_run):
            await client.pools.delete(name, cancel=runs == "cancel")
            say(f"deleted work pool {name}")


app.command(preview)
app.command("dispatcher.cli.scaling:autoscale", name="autoscale")
app.command("dispatcher.cli.template:app", name="template")


@app.command
async def slots(
    name: str,
    /,
    *,
    queue: Annotated[str | None, Parameter(help="Those of one of its queues.")] = None,
    key: Annotated[str | None, Parameter(help="Those of a concurrency key, `kind:value`.")] = None,
    output: Output = TABLE,
) -> None:
    """Show which runs hold the slots of a pool, oldest first."""
    async with connected() as client:
        await client.pools.get(name)
        show(await client.pools.slots(name, queue=queue, key=key), _SLOTS, output, _run_id)


def _run_id(slot: Slot) -> str:
    return slot.run_id
