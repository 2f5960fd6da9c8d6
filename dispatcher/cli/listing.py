"""Lists of which something cannot be read: the others are shown, it has a row too, and the exit code says so."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import PartlyUnreadable
from .failures import ExitCode, explain
from .output import Column, Output, say, show

Row = TypeVar("Row")
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The row of something that is there and cannot be read: its id or name, and why."""

    id: str
    unreadable: str


async def what_can_be_read(asked: Awaitable[Sequence[Row]]) -> tuple[Sequence[Row], PartlyUnreadable | None]:
    """The rows of a list, and what says that these are not all."""
    try:
        return await asked, None
    except PartlyUnreadable as error:
        return error.found, error


def show_list(
    rows: Sequence[Row], error: PartlyUnreadable | None, columns: Sequence[Column[Row]], output: Output,
    name: Callable[[Row], str],
) -> int:  # fmt: skip
    """Print a list with what of it cannot be read; the exit code."""
    if error is None:
        show(rows, columns, output, name)
        return ExitCode.OK
    odd = [Unreadable(each, why) for each, why in error.unreadable.items()]
    every: Sequence[Any] = [*rows, *odd]
    shown = [_column(column, place) for place, column in enumerate(columns)]
    show(every, shown, output, lambda row: row.id if isinstance(row, Unreadable) else name(row))
    return said(error)


def said(error: PartlyUnreadable | None) -> int:
    """Tell people what cannot be read, and what to do; the exit code."""
    if error is None:
        return ExitCode.OK
    say(explain(error))
    return ExitCode.FAILED


def _column(column: Column[Any], place: int) -> Column[Any]:
    """A column that takes both kinds of rows; the second one, and that of the state, say which kind it is."""

    def value(row: Any) -> object:
        if not isinstance(row, Unreadable):
            return column.value(row)
        if place == 0:
            return row.id
        return UNREADABLE if place == 1 or column.title == "STATE" else None

    return column._replace(value=value)
