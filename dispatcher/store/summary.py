"""INFO of several masters as one: numbers are summed, and of what must be right the worst is told."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_SUMMED = frozenset({
    "used_memory", "maxmemory", "connected_clients", "blocked_clients", "evicted_keys", "total_commands_processed",
})  # fmt: skip
_LEAST = frozenset({"aof_enabled", "connected_slaves"})


def combined(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One INFO. What is not summed or compared is the first one's; a limit that one lacks is none."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for info in infos for name in info):
        found[name] = _rule(name)([info[name] for info in infos if name in info])
    if any(not info.get("maxmemory", 1) for info in infos):
        found["maxmemory"] = 0
    return found


def _rule(name: str) -> Callable[[list[Any]], Any]:
    if name.startswith("cmdstat_"):
        return _calls
    return sum if name in _SUMMED else min if name in _LEAST else _CHOICES.get(name, lambda values: values[0])


def _worst(best: str) -> Callable[[list[Any]], Any]:
    return lambda values: next((value for value in values if value != best), best)


def _oldest(versions: list[Any]) -> Any:
    return min(versions, key=lambda text: [int(part) for part in str(text).split(".") if part.isdigit()])


_CHOICES: dict[str, Callable[[list[Any]], Any]] = {
    "maxmemory_policy": _worst("noeviction"),
    "aof_last_write_status": _worst("ok"),
    "redis_version": _oldest,
    "valkey_version": _oldest,
}


def _calls(rows: list[Any]) -> dict[str, Any]:
    return {name: sum(row.get(name, 0) for row in rows) for name in ("calls", "usec")}
