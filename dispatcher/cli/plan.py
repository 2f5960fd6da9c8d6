"""How a plan is printed: a line a change for people, each value that changes where it is asked for."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..redaction import HIDDEN, hide_passwords, is_secret
from .output import Column, Output, cell, in_colour, say, show

if TYPE_CHECKING:
    from ..manifest import Change, Difference, Plan

_SIGNS = {"create": ("+", "32"), "update": ("~", "33"), "delete": ("-", "31")}
_WORDS = {"create": "to create", "update": "to change", "delete": "to delete", "unchanged": "unchanged"}
_LONGEST = 200


@dataclass(frozen=True)
class PlannedChange:
    """A change as programs read it."""

    action: str
    kind: str
    name: str
    pool: str
    differences: list[dict[str, Any]]


_COLUMNS: tuple[Column[PlannedChange], ...] = (
    Column("ACTION", lambda row: row.action),
    Column("KIND", lambda row: row.kind),
    Column("NAME", lambda row: row.name),
    Column("POOL", lambda row: row.pool),
)


def show_plan(plan: "Plan", output: Output, *, diff: bool) -> None:
    """Print what is to be done; `diff`: each value that changes."""
    if output.format != "table" or output.quiet:
        rows = [_row(change) for change in (plan.changes if output.format.startswith("json") else plan.pending)]
        show(rows, _COLUMNS, output, lambda row: row.name)
        return
    for change in plan.pending:
        sign, colour = _SIGNS[change.action]
        print(in_colour(f"{sign} {change.kind} {change.label}", colour))
        for difference in change.differences if diff else ():
            print(f"    {_told(difference, is_new=change.action == 'create')}")
    counts = {action: sum(change.action == action for change in plan.changes) for action in _WORDS}
    say(
        ", ".join(f"{count} {_WORDS[action]}" for action, count in counts.items() if count)
        or "the file declares nothing"
    )


def _row(change: "Change") -> PlannedChange:
    found = [
        {"pointer": each.pointer, "old": _shown(each, each.old), "new": _shown(each, each.new)}
        for each in change.differences
    ]
    return PlannedChange(change.action, change.kind, change.name, change.pool, found)


def _told(difference: "Difference", *, is_new: bool) -> str:
    old, new = (_text(_shown(difference, value)) for value in (difference.old, difference.new))
    return f"{cell(difference.pointer)}: {new}" if is_new else f"{cell(difference.pointer)}: {old} -> {new}"


def _text(value: Any) -> str:
    return "none" if value is None else cell(json.dumps(value, ensure_ascii=False), _LONGEST)


def _shown(difference: "Difference", value: Any) -> Any:
    """A value without what must not be seen: those of names that sound secret, passwords of addresses."""
    if not isinstance(value, str):
        return value
    if any(is_secret(part) for part in difference.pointer.split("/")):
        return HIDDEN
    return hide_passwords(value)
