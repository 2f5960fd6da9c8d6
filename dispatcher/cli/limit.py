"""`sluice limit`: how many runs of a concurrency key run at once."""

from typing import Annotated

from cyclopts import App, Parameter

from ..models import KeyLimit
from .connecting import PoolOption, connected
from .output import TABLE, Column, Output, say, show
from .values import limit as limit_of

app = App(name="limit", help="Limits of concurrency keys, by exact name or for each value of a kind.")

Key = Annotated[str, Parameter(help="`kind:value`, or `kind:*` for each value of that kind.")]
_COLUMNS: tuple[Column[KeyLimit], ...] = (
    Column("KEY", lambda limit: limit.key),
    Column("LIMIT", lambda limit: limit.limit),
    Column("RUNNING", lambda limit: limit.running),
    Column("WHEN FULL", lambda limit: limit.when_full),
)


def _key(limit: KeyLimit) -> str:
    return limit.key


@app.command(name="set")
async def set_limit(
    key: Key,
    limit: Annotated[str, Parameter(help="Most runs at once; 0 holds all back.")],
    /,
    *,
    when_full: Annotated[str, Parameter(help="One more: wait, skip, replace, wait_one.")] = "wait",
    pool: PoolOption = None,
) -> None:
    """Set a limit, at once."""
    async with connected(pool) as client:
        number = limit_of(limit)
        if number is None:
            await client.limits.clear(key)
        else:
            await client.limits.set(key, number, when_full=when_full)
    say(f"{key} is limited to {limit}" if number is not None else f"{key} has no limit")


@app.command
async def ls(*, pool: PoolOption = None, output: Output = TABLE) -> None:
    """List the limits of a pool."""
    async with connected(pool) as client:
        show(await client.limits.list(), _COLUMNS, output, _key)


@app.command
async def clear(key: Key, /, *, pool: PoolOption = None) -> None:
    """Remove a limit."""
    async with connected(pool) as client:
        await client.limits.clear(key)
    say(f"{key} has no limit")
