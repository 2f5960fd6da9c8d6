"""A dashboard around its panels: name, variables, links, annotations, and every panel's place on the grid."""

from collections.abc import Sequence

from .panels import SOURCE, Json, Panel

COLUMNS = 24
SCHEMA_VERSION = 39  # Grafana 10.4 and 11.0; later ones bring it up to date when they load it
_TAG = "sluice"


def dashboard(uid: str, title: str, about: str, variables: Sequence[Json], panels: Sequence[Panel]) -> Json:
    """Return the document of a dashboard. The uid is part of its address and never changes."""
    return {
        "uid": uid,
        "title": f"Sluice / {title}",
        "description": about,
        "tags": [_TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "links": [_link()],
        "annotations": {"list": [_annotation()]},
        "templating": {"list": [_source_variable(), *variables]},
        "panels": place(panels),
    }


def place(panels: Sequence[Panel]) -> list[Json]:
    """Return the panels with their ids and places: from left to right, the next line where one is full."""
    placed: list[Json] = []
    x = y = tallest = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        grid = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        placed.append({"id": number, "gridPos": grid, **panel.body})
        x, tallest = x + panel.width, max(tallest, panel.height)
    return placed


def label_variable(name: str, label: str, query: str) -> Json:
    """Return a variable whose values are those of a label; many of them or all can be chosen."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "skipUrlSync": False,
    }


def choice_variable(name: str, label: str, values: Sequence[str], chosen: str) -> Json:
    """Return a variable with a few fixed values."""
    return {
        "type": "custom",
        "name": name,
        "label": label,
        "query": ",".join(values),
        "multi": False,
        "includeAll": False,
        "current": {"selected": True, "text": chosen, "value": chosen},
        "hide": 0,
        "options": [{"selected": value == chosen, "text": value, "value": value} for value in values],
        "skipUrlSync": False,
    }


def pool_variable() -> Json:
    """Return the variable `pool`."""
    return label_variable("pool", "Pool", "label_values(sluice_pool_info, pool)")


def queue_variable() -> Json:
    """Return the variable `queue`: the queues of the chosen pools."""
    return label_variable("queue", "Queue", 'label_values(sluice_queue_info{pool=~"$pool"}, queue)')


def _source_variable() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "multi": False,
        "includeAll": False,
        "current": {"selected": False, "text": "Prometheus", "value": "prometheus"},  # as provisioned; else the first
        "hide": 0,
        "options": [],
        "skipUrlSync": False,
    }


def _link() -> Json:
    return {
        "type": "dashboards",
        "title": "Sluice",
        "icon": "external link",
        "tooltip": "",
        "url": "",
        "tags": [_TAG],
        "asDropdown": False,
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }


def _annotation() -> Json:
    """Alerts that fire, drawn over every graph."""
    firing = 'ALERTS{alertname=~"Sluice.+", alertstate="firing", severity!="info"}'
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "target": {"refId": "Anno", "expr": firing, "interval": "60s"},
        "titleFormat": "{{alertname}}",
        "textFormat": "{{pool}} {{queue}}",
        "useValueForTime": False,
    }
