"""Schedules of a prefect.yaml."""

from datetime import UTC, datetime
from typing import Any

from .places import Path
from .prefect_reading import Reading, seconds, typed

_UNSUPPORTED = {
    "max_scheduled_runs": "is not supported: runs are made when they are due, not ahead",
    "max_active_runs": "is not supported: give the deployment a concurrency_limit",
    "catchup": "is not supported: `misfire` says what becomes of missed instants",
    "replaces": "is not supported: a schedule with another slug is another one",
}
_NAMES = {
    "cron": "cron", "interval": "interval", "anchor_date": "anchor", "rrule": "rrule", "timezone": "timezone",
    "day_or": "day_or", "active": "paused", "parameters": "parameters", "slug": "id",
}  # fmt: skip
_KINDS = ("cron", "interval", "rrule")


def read_schedules(given: dict[str, Any], path: Path, reading: Reading) -> tuple[list[Any], dict[Path, Path]]:
    """The schedules of a deployment by `schedule` or `schedules`, and where each part is said."""
    listed = reading.items(given.get("schedules"), (*path, "schedules"))
    rows: list[tuple[Path, Any]] = [(("schedules", index), row) for index, row in enumerate(listed)]
    if given.get("schedule"):
        rows.append((("schedule",), given["schedule"]))
    found: list[Any] = []
    sources: dict[Path, Path] = {}
    for where, row in rows:
        said = reading.mapping(row, (*path, *where))
        if not said:
            continue
        schedule = _schedule(said, (*path, *where), reading)
        here: Path = ("schedules", len(found))
        sources[here] = where
        sources |= {(*here, ours): (*where, theirs) for theirs, ours in _NAMES.items()}
        found.append(schedule)
    return found, sources


def _schedule(given: dict[str, Any], path: Path, reading: Reading) -> dict[str, Any]:
    said = reading.said(given, path, frozenset(_NAMES), _UNSUPPORTED)
    schedule = {_NAMES[name]: value for name, value in said.items()}
    for name, convert in (("interval", seconds), ("anchor", _anchor), ("day_or", typed)):
        if name in schedule:
            schedule[name] = convert(schedule[name])
    if "paused" in schedule:
        active = typed(schedule["paused"])
        schedule["paused"] = not active if isinstance(active, bool) else active
    if "anchor" in schedule and "interval" not in schedule:
        reading.note((*path, "anchor_date"), "says nothing without an interval: left out")
        del schedule["anchor"]
    if "day_or" in schedule and "cron" not in schedule:
        reading.note((*path, "day_or"), "says nothing without cron: left out")
        del schedule["day_or"]
    if not any(kind in schedule for kind in _KINDS):
        reading.fault(path, f"is no schedule: it says one of {', '.join(_KINDS)}")
    return schedule


def _anchor(value: Any) -> Any:
    """An instant; without a zone it is UTC, as Prefect takes it."""
    if not isinstance(value, str):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return value
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
