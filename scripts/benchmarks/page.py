"""The generated part of docs/performance.md: a table of everybody and a plot, from one run of the bench."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import Result
from benchmarks.peers.contenders import PEERS
from benchmarks.plot import plot
from benchmarks.report import Measured, cell, save

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_BEGIN, _END = "<!-- bench: begin -->", "<!-- bench: end -->"
# A column: its heading, the scenario, the figure.
_COLUMNS = (
    ("drain, runs/s", "drain", "runs_per_s"),
    ("worker us", "drain", "worker_us"),
    ("server us", "drain", "redis_us"),
    ("two workers, runs/s", "two-workers", "runs_per_s"),
    ("publish one, /s", "publish", "one_per_s"),
    ("50 at once, /s", "publish", "at-once_per_s"),
    ("bulk, /s", "publish", "bulk_per_s"),
    ("p50 ms", "latency", "p50_ms"),
    ("p99 ms", "latency", "p99_ms"),
    ("idle CPU ms/s", "latency", "idle_ms_per_s"),
    ("due p50 ms", "due", "p50_ms"),
    ("due least ms", "due", "min_ms"),
    ("due p99 ms", "due", "p99_ms"),
    ("queued bytes", "memory", "queued_bytes"),
    ("finished bytes", "memory", "finished_bytes"),
)


def rewrite(setting: Mapping[str, object], measured: Measured) -> None:
    """Replace what stands between the markers, the plot, and the figures they are made from."""
    dated = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "load": [round(load, 1) for load in os.getloadavg()], **setting}
    page, figures = _DOCS / "performance.md", _DOCS / "performance.json"
    before, _, rest = page.read_text().partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        raise SystemExit(f"{page.name} has no line {_BEGIN} with {_END} after it: put them where the table belongs")
    page.write_text(f"{before}{_BEGIN}\n\n{generated(dated, measured)}\n\n{_END}{after}")
    (_DOCS / "performance.svg").write_text(plot(measured))
    save(figures, dated, measured)
    figures.write_text(json.dumps(json.loads(figures.read_text())) + "\n")  # one line: nobody reads it by eye
    print(f"wrote {page}")


def generated(setting: Mapping[str, object], measured: Measured) -> str:
    """Return the text: conditions, plot, tables, settings, and who is missing."""
    words = ", ".join(f"{name} {value}" for name, value in setting.items() if name != "notes")
    quick = " **An eighth of the usual runs (`--quick`): good for the order of things, not for digits.**"
    names = list(dict.fromkeys(name for rows in measured.values() for name in rows))
    halves = [_table(names, measured, columns) for columns in (_COLUMNS[:7], _COLUMNS[7:])]
    notes = setting["notes"]
    missing = [f"- {who}: {why}" for who, why in notes.items()] if isinstance(notes, dict) else []
    return "\n\n".join(
        [
            f"Conditions: {words}.{quick if setting.get('quick') else ''}",
            "![Drain, latency and publishing of all, as bars](performance.svg)",
            *halves,
            "Median (least - most) of the rounds. A dash: there is no such thing, or it was not measured.",
            "Settings and versions:",
            _settings(names),
            "\n".join(["Not measured:", "", *missing]) if missing else "Nobody was left out.",
        ]
    )


def _table(names: Sequence[str], measured: Measured, columns: Sequence[tuple[str, str, str]]) -> str:
    columns = [one for one in columns if any(one[2] in r for rows in measured.get(one[1], {}).values() for r in rows)]
    head = ["", *(heading for heading, _, _ in columns)]
    rows = [[name, *(_figure(measured.get(s, {}).get(name, []), f) for _, s, f in columns)] for name in names]
    rule = ["---", *("---:" for _ in columns)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def _figure(results: Sequence[Result], name: str) -> str:
    return cell([result[name] for result in results if name in result])


def _settings(names: Sequence[str]) -> str:
    rows = [f"| {one.name} | {one.note} | {', '.join(one.needs)} |" for one in PEERS if one.name in names]
    return "\n".join(["| peer | settings | versions |", "| --- | --- | --- |", *rows])
