"""Write the tables of docs/metrics.md from the definitions: `.venv/bin/python scripts/metrics_page.py`.

A test holds the page to them. What stands outside the tables is written by hand.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from dispatcher import metrics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
Row = tuple[str, str, Iterable[str], str]


def table(rows: Iterable[Row]) -> str:
    """Return a table of metrics."""
    lines = [f"| `{name}` | {kind} | {', '.join(labels)} | {text} |" for name, kind, labels, text in rows]
    return "\n".join(["", "| metric | type | labels | |", "| --- | --- | --- | --- |", *lines, ""])


def server() -> str:
    """Return the families of the snapshot, in their order, and the bounds of their histograms."""
    found = table((family.name, family.kind, family.labels, family.help) for family in metrics.FAMILIES.values())
    waits, durations = (
        ", ".join(f"{bound:g}" for bound in bounds) for bounds in (metrics.WAIT_BOUNDS, metrics.DURATION_BOUNDS)
    )
    return f"{found}\nBounds of `sluice_run_queue_seconds`: {waits};\nof `sluice_run_duration_seconds`: {durations}.\n"


def process() -> str:
    """Return what a process counts itself, by name."""
    return table(sorted(_own_rows()))


def _own_rows() -> Iterator[Row]:
    for metric in {value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)}:
        (family,) = metric.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield name, family.type, metric._labelnames, family.documentation  # noqa: SLF001 - nothing public tells them


def page(text: str) -> str:
    """Return the page with its tables made anew."""
    for name, made in (("server", server()), ("process", process())):
        text, found = re.subn(
            rf"(<!-- {name}: [^>]* -->\n).*?(<!-- end -->)", lambda match, made=made: match[1] + made + match[2], text,
            flags=re.DOTALL,
        )  # fmt: skip
        if found != 1:
            raise ValueError(f"docs/metrics.md has no place `<!-- {name}: ... -->` ... `<!-- end -->`, or several")
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
