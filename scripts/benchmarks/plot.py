"""A plot as SVG, written by hand: bars on a logarithmic axis, one panel a figure, no library."""

import math
import statistics
from collections.abc import Mapping, Sequence

from benchmarks.harness import Result
from benchmarks.report import Measured, number

_PANELS = (
    ("Drain, runs/s (more is better)", "drain", "runs_per_s"),
    ("Publish one after the other, /s (more is better)", "publish", "one_per_s"),
    ("Idle publish to handler, p50 ms (less is better)", "latency", "p50_ms"),
    ("Lateness of due runs, p50 ms (less is better)", "due", "p50_ms"),
)
_WIDTH, _BAR, _GAP, _LABEL, _HEAD = 760, 16, 5, 120, 34
_LONGEST = _WIDTH - _LABEL - 90


def plot(measured: Measured) -> str:
    """Return the SVG of all panels that were measured, one below the other."""
    parts: list[str] = []
    top = 0
    for title, scenario, figure in _PANELS:
        values = _medians(measured.get(scenario, {}), figure)
        if values:
            parts += _panel(top, title, values)
            top += _HEAD + len(values) * (_BAR + _GAP) + 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{top}" fill="#fff"/>', *parts, "</svg>", ""])


def _medians(rows: Mapping[str, Sequence[Result]], figure: str) -> dict[str, float]:
    medians = {name: [one[figure] for one in results if figure in one] for name, results in rows.items()}
    return {name: statistics.median(values) for name, values in medians.items() if values}


def _panel(top: int, title: str, values: Mapping[str, float]) -> list[str]:
    """Return a heading and a bar for each; the axis begins at half of the least value."""
    positive = [value for value in values.values() if value > 0]
    least, greatest = min(positive, default=1.0) / 2, max(positive, default=2.0)
    lines = [f'<text x="8" y="{top + 22}" font-weight="bold">{title}; logarithmic</text>']
    for place, (name, value) in enumerate(values.items()):
        y = top + _HEAD + place * (_BAR + _GAP)
        share = math.log(value / least) / math.log(greatest / least) if value > 0 else 0.0
        colour = {"sluice": "#c2410c", "floor": "#9ca3af"}.get(name, "#3b82f6")
        lines += [
            f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end">{name}</text>',
            f'<rect x="{_LABEL}" y="{y}" width="{share * _LONGEST:.0f}" height="{_BAR}" fill="{colour}"/>',
            f'<text x="{_LABEL + share * _LONGEST + 6:.0f}" y="{y + 12}">{number(value)}</text>',
        ]
    return lines
