"""PromQL as far as tests need it: which metrics a query names, and the queries of rules and dashboards."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "compose" / "prometheus"
DASHBOARDS = ROOT / "compose" / "grafana" / "dashboards"

_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool"}
_NO_NAMES = re.compile(
    r"""
    "(?:[^"\\]|\\.)*"                                                     # a text
    | \{[^}]*\}                                                           # what labels must be
    | \[[^\]]*\]                                                          # a range
    | \b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)     # labels
    | \boffset\s+\w+
    """,
    re.VERBOSE,
)


class Asked(NamedTuple):
    """A query and the place where it stands."""

    place: str
    expr: str


def metrics_of(expr: str) -> set[str]:
    """Return the names of the metrics and recorded series of a query."""
    bare = _NO_NAMES.sub(" ", re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr))
    return set(re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])", bare)) - _WORDS


def rules() -> list[dict[str, Any]]:
    """Return all rules, recorded ones first."""
    files = [yaml.safe_load(path.read_text()) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))]
    found = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return sorted(found, key=lambda rule: "alert" in rule)


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """Return the names of the recorded series."""
    return {rule["record"] for rule in rules() if "record" in rule}


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the dashboards that are checked in, by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def of_rules() -> Iterator[Asked]:
    """Yield the query of each rule."""
    for rule in rules():
        yield Asked(rule.get("alert") or rule["record"], rule["expr"])


def of_panels() -> Iterator[Asked]:
    """Yield each query of each panel."""
    for name, board in dashboards().items():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield Asked(f"{name}: {panel['title']} {target['refId']}", target["expr"])


def of_annotations() -> Iterator[Asked]:
    """Yield each query that is drawn over the panels."""
    for name, board in dashboards().items():
        for annotation in board["annotations"]["list"]:
            yield Asked(f"{name}: {annotation['name']}", annotation["target"]["expr"])


def filled_in(expr: str, *, interval: str = "1m") -> str:
    """Return a panel's query as Grafana sends it when everything is chosen."""
    values = {"$__rate_interval": interval, "$pool": ".*", "$queue": ".*", "$quantile": "0.95"}
    for name, value in values.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr
