"""Tables and JSON from measurements: medians with the least and greatest of the rounds."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.harness import Result

Measured = dict[str, dict[str, list[Result]]]  # scenario -> contender -> one result a round


def table(scenario: str, rows: Mapping[str, Sequence[Result]]) -> str:
    """Return a Markdown table: a row for each contender, a column for each figure."""
    columns = list(dict.fromkeys(name for results in rows.values() for result in results for name in result))
    lines = [f"### {scenario}", "", _line(["contender", *columns]), _line(["---", *("---:" for _ in columns)])]
    for contender, results in rows.items():
        lines.append(_line([contender, *(cell([r[name] for r in results if name in r]) for name in columns)]))
    return "\n".join(lines)


def ratios(scenario: str, rows: Mapping[str, Sequence[Result]]) -> str:
    """Return how Sluice's first figure compares with everybody else's, empty without a row of Sluice."""
    ours = rows.get("sluice")
    if not ours or len(rows) < 2:
        return ""
    speeds = [name for name in ours[0] if (name.endswith("per_s") and "idle" not in name) or name == "p50_ms"]
    costs = [name for name in ours[0] if name.endswith("_us")]  # of others they are not for the same work
    parts = [
        f"{name} {median(ours, name) / median(results, name):.2f} x {contender}"
        for contender, results in rows.items()
        if contender != "sluice"
        for name in speeds + (costs if contender == "before" else [])
        if name in results[0]
    ]
    return f"{scenario}: " + ", ".join(parts)


def median(results: Sequence[Result], name: str) -> float:
    """Return the median of one figure over the rounds."""
    return statistics.median(result[name] for result in results)


def cell(values: Sequence[float]) -> str:
    """Return `median (min-max)`, or the median alone where the rounds agree."""
    if not values:
        return "-"
    middle, least, greatest = number(statistics.median(values)), number(min(values)), number(max(values))
    return middle if least == greatest else f"{middle} ({least}-{greatest})"


def number(value: float) -> str:
    """Return a number with three useful digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def save(path: Path, setting: Mapping[str, object], measured: Measured) -> None:
    """Write everything as JSON: setting, medians, and every round."""
    medians = {
        scenario: {
            contender: {name: median(results, name) for name in results[0]} for contender, results in rows.items()
        }
        for scenario, rows in measured.items()
    }
    path.write_text(json.dumps({"setting": setting, "medians": medians, "rounds": measured}, indent=2) + "\n")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
