"""Panels: what a panel of each kind asks and how it draws the answer. Where it stands is decided in layout.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Literal

Json = dict[str, Any]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GOOD, WARN, BAD = "green", "orange", "red"
Steps = Sequence[tuple[float | None, str]]
ANY_IS_BAD: Steps = ((None, GOOD), (1, BAD))
NONE_IS_BAD: Steps = ((None, BAD), (1, GOOD))
PLAIN: Steps = ((None, GOOD),)


@dataclass(frozen=True)
class Query:
    """One line of PromQL, and what its series are called."""

    expr: str
    legend: str = ""
    form: Literal["time_series", "heatmap", "table"] = "time_series"


@dataclass(frozen=True)
class Panel:
    """A panel without its place: `width` of 24 columns, `height` in rows of the grid."""

    width: int
    height: int
    body: Json


def row(title: str) -> Panel:
    """Return a heading over the panels that follow."""
    return Panel(24, 1, {"type": "row", "title": title, "collapsed": False, "panels": []})


def stat(
    title: str,
    expr: str,
    about: str,
    *,
    unit: str = "short",
    steps: Steps = PLAIN,
    words: Mapping[str, str] | None = None,
) -> Panel:
    """Return one number, coloured by its steps; `words` are said in the place of values."""
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    defaults: Json = {"unit": unit, "thresholds": _thresholds(steps), "color": {"mode": "thresholds"}}
    if words:
        results = {value: {"text": word, "index": index} for index, (value, word) in enumerate(words.items())}
        defaults["mappings"] = [{"type": "value", "options": results}]
    return Panel(4, 4, _panel("stat", title, about, (Query(expr),), defaults=defaults, options=options))


def graph(
    title: str,
    about: str,
    *queries: Query,
    unit: str = "short",
    width: int = 12,
    stacked: bool = False,
    most: float | None = None,
) -> Panel:
    """Return lines over time."""
    custom = {
        "drawStyle": "line",
        "fillOpacity": 25 if stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    defaults: Json = {"unit": unit, "min": 0, "color": {"mode": "palette-classic"}, "custom": custom}
    if most is not None:
        defaults["max"] = most
    options = {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel(width, 8, _panel("timeseries", title, about, queries, defaults=defaults, options=options))


def signed(panel: Panel) -> Panel:
    """Return the same graph for values that may be below nought."""
    defaults = {name: value for name, value in panel.body["fieldConfig"]["defaults"].items() if name != "min"}
    return Panel(panel.width, panel.height, {**panel.body, "fieldConfig": {"defaults": defaults, "overrides": []}})


def heatmap(title: str, about: str, expr: str, *, width: int = 12) -> Panel:
    """Return the buckets of a histogram over time; the query yields a rate by `le`."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "fill": "dark-orange",
            "scheme": "Oranges",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "unit": "s", "reverse": False},
    }
    query = Query(expr, "{{le}}", form="heatmap")
    return Panel(width, 8, _panel("heatmap", title, about, (query,), defaults={}, options=options))


def timeline(title: str, about: str, query: Query, words: Mapping[str, tuple[str, str]], *, width: int = 24) -> Panel:
    """Return states over time; `words` gives a value its word and colour."""
    results = {
        value: {"text": word, "color": colour, "index": index}
        for index, (value, (word, colour)) in enumerate(words.items())
    }
    defaults = {
        "color": {"mode": "thresholds"},
        "thresholds": _thresholds(PLAIN),
        "mappings": [{"type": "value", "options": results}],
        "custom": {"fillOpacity": 70, "lineWidth": 0},
    }
    options = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel(width, 7, _panel("state-timeline", title, about, (query,), defaults=defaults, options=options))


def table(title: str, about: str, columns: Mapping[str, str], units: Mapping[str, str], *, width: int = 24) -> Panel:
    """Return a table: a query a column by the column's heading, joined by their labels; `units` of some headings."""
    queries = [Query(expr, form="table") for expr in columns.values()]
    headings = {f"Value #{ref}": heading for ref, heading in zip(ascii_uppercase, columns, strict=False)}
    renamed = headings if len(headings) > 1 else {"Value": next(iter(columns))}
    overrides = [
        {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
        for heading, unit in units.items()
    ]
    options = {"cellHeight": "sm", "showHeader": True}
    body = _panel("table", title, about, queries, defaults={"custom": {"align": "auto"}}, options=options)
    body["fieldConfig"]["overrides"] = overrides
    body["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {}, "renameByName": renamed}},
    ]
    return Panel(width, 9, body)


def _thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


def _panel(kind: str, title: str, about: str, queries: Sequence[Query], *, defaults: Json, options: Json) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "targets": [_target(ref, query) for ref, query in zip(ascii_uppercase, queries, strict=False)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def _target(ref: str, query: Query) -> Json:
    at_once = {"instant": True, "range": False} if query.form == "table" else {"instant": False, "range": True}
    return {
        "refId": ref,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "format": query.form,
        **at_once,
    }
