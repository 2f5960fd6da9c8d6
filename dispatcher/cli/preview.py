"""`sluice pool preview`: what will start, and when."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import InvalidInput
from .connecting import connected
from .listing import said, what_can_be_read
from .output import TABLE, Column, Output, show

if TYPE_CHECKING:
    from ..client.previewing import Upcoming

_COLUMNS: tuple[Column["Upcoming"], ...] = (
    Column("DUE", lambda row: row.due),
    Column("AT", lambda row: row.due.isoformat(timespec="seconds")),
    Column("LATE", lambda row: "late" if row.late else None),
    Column("DEPLOYMENT", lambda row: row.deployment),
    Column("SCHEDULE", lambda row: row.schedule),
    Column("QUEUE", lambda row: row.queue),
    Column("RUN", lambda row: row.run),
)


async def preview(
    name: Annotated[str | None, Parameter(help="The work pool; SLUICE_POOL, else `default`, when not given.")] = None,
    /, *,
    hours: Annotated[float, Parameter(help="How far to look ahead.")] = 1.0,
    output: Output = TABLE,
) -> int:  # fmt: skip
    """Show what will start in a pool and when: runs that wait, and instants of schedules; late ones are marked."""
    if not hours > 0:
        raise InvalidInput(f"{hours:g} hours look at nothing: give --hours more than 0")
    async with connected(name) as client:
        rows, error = await what_can_be_read(client.preview(hours))
    show(rows, _COLUMNS, output, lambda row: row.run or f"{row.deployment}/{row.schedule}")
    return said(error)
