"""What commands print: rows as a table for people, as JSON for programs, as names for shells. Data only, on stdout."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from cyclopts import Parameter

from ..clock import SystemClock
from ..redaction import without_controls

Format = Literal["table", "wide", "json", "jsonl", "name"]
Row = TypeVar("Row")
_COLOURS = {
    "running": "36", "pending": "36", "completed": "32", "failed": "31", "crashed": "31", "cancelled": "33",
    "cancelling": "33", "expired": "33", "paused": "33", "ready": "32", "draining": "33",
}  # fmt: skip
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_LONGEST_CELL = 60


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How the answer is printed."""

    format: Annotated[
        Format, Parameter(name=("--output", "-o"), help="wide: more columns; jsonl: one object a line; name: ids only.")
    ] = "table"
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"), help="Print names or ids only.")] = False


TABLE = Output()


class Column(NamedTuple, Generic[Row]):
    """A column of a table; `wide` ones are shown by `-o wide` and where one thing is inspected."""

    title: str
    value: Callable[[Row], object]
    wide: bool = False


def show(rows: Sequence[Row], columns: Sequence[Column[Row]], output: Output, name: Callable[[Row], str]) -> None:
    """Print a list of things."""
    if output.quiet or output.format == "name":
        print("".join(f"{name(row)}\n" for row in rows), end="")
    elif output.format == "json":
        print(json.dumps([plain(row) for row in rows], indent=2, ensure_ascii=False))
    elif output.format == "jsonl":
        print("".join(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in rows), end="")
    else:
        print(_table(rows, [column for column in columns if not column.wide or output.format == "wide"]))


def show_one(row: Row, columns: Sequence[Column[Row]], output: Output, name: Callable[[Row], str]) -> None:
    """Print one thing: a line a property, or one object."""
    if output.quiet or output.format == "name":
        print(name(row))
    elif output.format in ("json", "jsonl"):
        print(json.dumps(plain(row), indent=2 if output.format == "json" else None, ensure_ascii=False))
    else:
        width = max(len(column.title) for column in columns)
        for column in columns:
            print(f"{column.title.lower():<{width}}  {_paint(cell(column.value(row), _LONGEST_CELL * 20))}")


def say(*lines: str) -> None:
    """Tell people something that is not the answer."""
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def plain(value: object) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    dump: Callable[..., object] | None = getattr(value, "model_dump", None)
    if dump is not None:
        value = dump(mode="json", exclude_defaults=True)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def cell(value: object, longest: int = _LONGEST_CELL) -> str:
    """A value as a table shows it, on one line."""
    if value is None or value in ("", (), []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return age(value)
    if isinstance(value, list | tuple) and not isinstance(value, str):
        value = ", ".join(map(str, value))
    text = without_controls(value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def age(moment: datetime) -> str:
    """How long ago, or in how long: `5m 3s ago`, `in 2h 1m`."""
    seconds = SystemClock().now_ms() / 1000 - moment.timestamp()
    text = span(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def span(seconds: float) -> str:
    """A duration in its two largest units: `1h 30m`."""
    left, parts = int(seconds), list[str]()
    for size, unit in _UNITS:
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2])


def _table(rows: Sequence[Row], columns: Sequence[Column[Row]]) -> str:
    cells = [[cell(column.value(row)) for column in columns] for row in rows]
    titles = [column.title for column in columns]
    widths = [max(map(len, values)) for values in zip(titles, *cells, strict=True)]
    lines = [[title.ljust(width) for title, width in zip(titles, widths, strict=True)]]
    lines += [[_paint(text, width) for text, width in zip(row, widths, strict=True)] for row in cells]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _paint(text: str, width: int = 0) -> str:
    """Pad it, and colour a state's name where a terminal shows it."""
    return in_colour(text.ljust(width), _COLOURS.get(text))


def in_colour(text: str, colour: str | None) -> str:
    """The text in a colour (an SGR number) where a terminal shows it."""
    if colour is None or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):  # noqa: TID251 - everyone's variable
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"
