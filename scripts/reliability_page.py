"""Write the table of docs/reliability.md: faults of faults.py, tests by their marks, figures of docs/reliability.json.

    scripts/test --fault 12 --figures figures.jsonl               # a line for each figure
    .venv/bin/python -m scripts.reliability_page figures.jsonl  # keeps the worst of each in docs/reliability.json

Without a file it only writes the table anew. A test holds the page to its sources.
"""

import ast
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.faults import FAULTS, OPEN

ROOT = Path(__file__).resolve().parent.parent
PAGE, FIGURES = ROOT / "docs" / "reliability.md", ROOT / "docs" / "reliability.json"
Shown = dict[int, list[tuple[str, str]]]


def marked() -> Shown:
    """For each fault the tests that are marked with it: file and name."""
    found: Shown = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for number in _numbers(node):
                    found[number].append((path.relative_to(ROOT).as_posix(), node.name))
    return found


def _numbers(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
            yield from (each.value for each in mark.args if isinstance(each, ast.Constant))


def keep(rows: list[dict[str, Any]]) -> None:
    """Add figures to those that are kept; of the same one the new run's worst counts."""
    kept = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    worst: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        known = worst.get((str(row["fault"]), row["what"]))
        if known is None or row["value"] > known["value"]:
            worst[str(row["fault"]), row["what"]] = row
    for (fault, what), row in worst.items():
        kept.setdefault(fault, {})[what] = [row["value"], row["unit"]]
    ordered = {fault: dict(sorted(kept[fault].items())) for fault in sorted(kept, key=int)}
    FIGURES.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 or unit == "" or value == int(value) else f"{value:.2f} {unit}"


def _row(number: int, shown: Shown, figures: dict[str, Any]) -> str:
    fault = FAULTS[number]
    measured = "; ".join(f"{what}: {_figure(*figure)}" for what, figure in figures.get(str(number), {}).items())
    tests = len(shown.get(number, ()))
    places = sorted({path for path, _ in shown.get(number, ())})
    links = ", ".join(f"[{Path(path).stem.removeprefix('test_')}](../{path})" for path in places)
    proof = f"{tests}: {links}" if tests else f"open: {OPEN.get(number, '?')}"
    return f"| {number} | {fault.name} | {fault.happens} | {measured} | {proof} |"


def table() -> str:
    """The table, a row for each fault."""
    shown = marked()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    head = ["", "| | fault | what happens | measured | tests |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *(_row(number, shown, figures) for number in FAULTS), ""])


def page(text: str) -> str:
    """Return the page with its table made anew."""
    made, found = re.subn(
        r"(<!-- faults: [^>]* -->\n).*?(<!-- end -->)",
        lambda match: match[1] + table() + match[2],
        text,
        flags=re.DOTALL,
    )
    if found != 1:
        raise ValueError("docs/reliability.md has no place `<!-- faults: ... -->` ... `<!-- end -->`, or several")
    return made


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep([json.loads(line) for line in Path(name).read_text().splitlines()])
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
