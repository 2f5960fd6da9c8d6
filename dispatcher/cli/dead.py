"""`sluice dead`: dead letters, runs that were given up."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from ..errors import InvalidInput
from .asking import DryRun, Yes, may
from .connecting import PoolOption, connected
from .listing import said, show_list, what_can_be_read
from .output import TABLE, Column, Output, say, show
from .run import COLUMNS

if TYPE_CHECKING:
    from ..client import Client
    from ..client.again import DeadGroup

app = App(
    name="dead", help="Dead letters: runs whose crash budget or retries are spent, kept as long as finished runs."
)

Repeated = tuple[str, ...]
All = Annotated[bool, Parameter(name="--all", help="All dead letters of the pool.")]
Cause = Annotated[str | None, Parameter(help="All that died of this, as `dead ls` shows it (or how it begins).")]

_GROUPS: "tuple[Column[DeadGroup], ...]" = (
    Column("RUNS", lambda group: group.count),
    Column("REASON", lambda group: group.reason),
    Column("CAUSE", lambda group: group.cause),
    Column("LAST", lambda group: group.last),
    Column("FOR EXAMPLE", lambda group: group.runs[0]),
)


@app.command
async def ls(
    *,
    pool: PoolOption = None,
    runs: Annotated[bool, Parameter(help="Each run, newest first, instead of groups by what they died of.")] = False,
    limit: Annotated[int, Parameter(help="With --runs: at most so many.")] = 50,
    output: Output = TABLE,
) -> int:
    """List dead letters by what they died of, most frequent first."""
    async with connected(pool) as client:
        await client.pools.get(client.pool)
        if runs:
            found, error = await what_can_be_read(client.dead.list(limit=limit))
            return show_list(found, error, COLUMNS, output, lambda run: run.id)
        groups, error = await what_can_be_read(client.dead.groups())
        show(groups, _GROUPS, output, lambda group: "\n".join(group.runs))
        return said(error)


@app.command
async def retry(
    *runs: str,
    pool: PoolOption = None,
    all: All = False,
    cause: Cause = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Publish dead letters anew: each is a new run that names the old one, which leaves the dead letters."""
    async with connected(pool) as client:
        chosen = await _chosen(client, runs, every=all, cause=cause)
        if may(f"try {_count(chosen)} again", yes=yes or bool(runs), dry_run=dry_run):
            for again in await client.dead.retry(*chosen):
                print(again.id)


@app.command
async def purge(
    *runs: str,
    pool: PoolOption = None,
    all: All = False,
    cause: Cause = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take runs out of the dead letters. The runs themselves are kept as long as any finished run."""
    async with connected(pool) as client:
        chosen = await _chosen(client, runs, every=all, cause=cause)
        if chosen and may(f"forget {_count(chosen)}", yes=yes, dry_run=dry_run):
            say(f"{await client.dead.purge(*chosen)} dead letters forgotten")


async def _chosen(client: "Client", runs: Repeated, *, every: bool, cause: str | None) -> Repeated:
    """The runs that are meant. Raises InvalidInput unless they are named in one way."""
    if bool(runs) + every + (cause is not None) != 1:
        raise InvalidInput("name the runs, or give --all, or --cause TEXT: one of them")
    if runs:
        return runs
    groups = await client.dead.groups()
    return tuple(run for group in groups if every or group.cause.startswith(cause or "") for run in group.runs)


def _count(runs: Repeated) -> str:
    return f"{len(runs)} dead letter{'s' * (len(runs) != 1)}"
