"""What Grafana takes of a dashboard, as far as ours go: nothing unknown, nothing of another type, nothing left out.

The facts are those of the dashboard kind (`kinds/dashboard`) of Grafana's repository and of the five panels we use.
"""

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_ANY_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = {"type": "number"}
_EMPTY = {"type": "array", "maxItems": 0}
_UNIT = {"enum": ["short", "s", "bytes", "percentunit", "ops"]}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": required.split(), "additionalProperties": False,
    }  # fmt: skip


def _list(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


def _fixed(**properties: Any) -> dict[str, Any]:
    """An object all of whose members must be there."""
    return _object(" ".join(properties), **properties)


_SOURCE = _fixed(type={"const": "prometheus"}, uid={"const": "${datasource}"})
_TARGET = _fixed(
    refId={"type": "string", "pattern": "^[A-Z]$"},
    datasource=_SOURCE,
    editorMode={"const": "code"},
    expr=_TEXT,
    legendFormat=_TEXT,
    format={"enum": ["time_series", "heatmap", "table"]},
    instant=_FLAG,
    range=_FLAG,
)
_GRID = _fixed(
    x={**_COUNT, "maximum": 23},
    y=_COUNT,
    w={"type": "integer", "minimum": 1, "maximum": 24},
    h={**_COUNT, "minimum": 1},
)
_THRESHOLDS = _fixed(
    mode={"enum": ["absolute", "percentage"]},
    steps=_list(_fixed(value={"type": ["number", "null"]}, color=_TEXT), least=1),
)
_WORD = _object("text index", text=_TEXT, color=_TEXT, index=_COUNT)
_MAPPING = _fixed(
    type={"const": "value"}, options={"type": "object", "additionalProperties": _WORD, "minProperties": 1}
)
_STACKING = _fixed(group=_TEXT, mode={"enum": ["none", "normal", "percent"]})
_CUSTOM = _object(
    "",
    drawStyle={"enum": ["line", "bars", "points"]},
    fillOpacity={**_COUNT, "maximum": 100},
    lineWidth={**_COUNT, "maximum": 10},
    showPoints={"enum": ["auto", "never", "always"]},
    spanNulls=_FLAG,
    stacking=_STACKING,
    align={"enum": ["auto", "left", "right", "center"]},
)
_DEFAULTS = _object(
    "",
    unit=_UNIT,
    min=_NUMBER,
    max=_NUMBER,
    thresholds=_THRESHOLDS,
    color=_fixed(mode={"enum": ["thresholds", "palette-classic"]}),
    mappings=_list(_MAPPING),
    custom=_CUSTOM,
)
_OVERRIDE = _fixed(
    matcher=_fixed(id={"const": "byName"}, options=_TEXT),
    properties=_list(_fixed(id={"const": "unit"}, value=_UNIT), least=1),
)
_TOOLTIP = {"enum": ["single", "multi", "none"]}
_SORT = {"enum": ["asc", "desc", "none"]}
_LEGEND = _object(
    "calcs displayMode placement showLegend",
    calcs=_list(_TEXT),
    displayMode={"enum": ["list", "table"]},
    placement={"enum": ["bottom", "right"]},
    showLegend=_FLAG,
)
_OPTIONS = {
    "stat": _fixed(
        colorMode={"enum": ["value", "background", "background_solid", "none"]},
        graphMode={"enum": ["none", "line", "area"]},
        justifyMode={"enum": ["auto", "center"]},
        orientation={"enum": ["auto", "vertical", "horizontal"]},
        reduceOptions=_fixed(calcs=_list(_TEXT, least=1), fields=_ANY_TEXT, values=_FLAG),
        textMode={"enum": ["auto", "value", "value_and_name", "name", "none"]},
    ),
    "timeseries": _fixed(legend=_LEGEND, tooltip=_fixed(mode=_TOOLTIP, sort=_SORT)),
    "heatmap": _fixed(
        calculate=_FLAG,
        cellGap=_COUNT,
        color=_fixed(
            mode={"enum": ["opacity", "scheme"]},
            fill=_TEXT,
            scheme=_TEXT,
            exponent=_NUMBER,
            steps={**_COUNT, "maximum": 128},
            reverse=_FLAG,
        ),
        filterValues=_fixed(le=_NUMBER),
        legend=_fixed(show=_FLAG),
        rowsFrame=_fixed(layout={"enum": ["le", "ge", "unknown", "auto"]}),
        tooltip=_fixed(mode=_TOOLTIP, yHistogram=_FLAG),
        yAxis=_fixed(axisPlacement={"enum": ["auto", "left", "right", "hidden"]}, unit=_UNIT, reverse=_FLAG),
    ),
    "state-timeline": _fixed(
        alignValue={"enum": ["left", "center", "right"]},
        legend=_LEGEND,
        mergeValues=_FLAG,
        rowHeight={"type": "number", "minimum": 0, "maximum": 1},
        showValue={"enum": ["auto", "always", "never"]},
        tooltip=_fixed(mode=_TOOLTIP, sort=_SORT),
    ),
    "table": _fixed(
        cellHeight={"enum": ["sm", "md", "lg"]},
        showHeader=_FLAG,
    ),
}
_TRANSFORMATIONS = _list(_fixed(id={"enum": ["merge", "organize"]}, options={"type": "object"}))
_ROW = _fixed(id=_COUNT, gridPos=_GRID, type={"const": "row"}, title=_TEXT, collapsed=_FLAG, panels=_EMPTY)


def _panel(kind: str) -> dict[str, Any]:
    return _object(
        "id gridPos type title description datasource targets fieldConfig options",
        id={**_COUNT, "minimum": 1},
        gridPos=_GRID,
        type={"const": kind},
        title=_TEXT,
        description=_TEXT,
        datasource=_SOURCE,
        targets=_list(_TARGET, least=1),
        fieldConfig=_fixed(defaults=_DEFAULTS, overrides=_list(_OVERRIDE)),
        options=_OPTIONS[kind],
        transformations=_TRANSFORMATIONS,
    )


_VARIABLE = _object(
    "type name label query hide current options skipUrlSync",
    type={"enum": ["query", "custom", "datasource"]},
    name={"type": "string", "pattern": "^[a-z]+$"},
    label=_TEXT,
    datasource=_SOURCE,
    query={"anyOf": [_TEXT, _fixed(query=_TEXT, refId=_TEXT)]},
    refresh={"enum": [0, 1, 2]},
    regex=_ANY_TEXT,
    sort={**_COUNT, "maximum": 8},
    multi=_FLAG,
    includeAll=_FLAG,
    allValue=_TEXT,
    current=_fixed(selected=_FLAG, text={"anyOf": [_TEXT, _list(_TEXT, 1)]}, value={"anyOf": [_TEXT, _list(_TEXT, 1)]}),
    hide={"enum": [0, 1, 2]},
    options=_list(_fixed(selected=_FLAG, text=_TEXT, value=_TEXT)),
    skipUrlSync=_FLAG,
)
_LINK = _fixed(
    title=_TEXT,
    type={"enum": ["link", "dashboards"]},
    icon=_TEXT,
    tooltip=_ANY_TEXT,
    url=_ANY_TEXT,
    tags=_list(_TEXT),
    asDropdown=_FLAG,
    targetBlank=_FLAG,
    includeVars=_FLAG,
    keepTime=_FLAG,
)
_ANNOTATION = _object(
    "name datasource enable iconColor",
    name=_TEXT,
    datasource=_SOURCE,
    enable=_FLAG,
    hide=_FLAG,
    iconColor=_TEXT,
    target=_fixed(refId=_TEXT, expr=_TEXT, interval=_TEXT),
    titleFormat=_TEXT,
    textFormat=_TEXT,
    useValueForTime=_FLAG,
)
DASHBOARD = _fixed(
    uid={"type": "string", "pattern": "^[A-Za-z0-9_-]{8,40}$"},
    title=_TEXT,
    description=_TEXT,
    tags=_list(_TEXT, least=1),
    schemaVersion={"type": "integer", "minimum": 36, "maximum": 41},
    version={"type": "integer", "minimum": 1},
    editable=_FLAG,
    graphTooltip={"enum": [0, 1, 2]},
    refresh={"type": "string", "pattern": "^[0-9]+[smh]$"},
    time=_fixed(**{"from": _TEXT, "to": _TEXT}),
    timepicker={"type": "object"},
    timezone=_TEXT,
    fiscalYearStartMonth={**_COUNT, "maximum": 11},
    liveNow=_FLAG,
    weekStart=_ANY_TEXT,
    links=_list(_LINK),
    annotations=_fixed(list=_list(_ANNOTATION)),
    templating=_fixed(list=_list(_VARIABLE, least=1)),
    panels=_list({"anyOf": [_ROW, *(_panel(kind) for kind in _OPTIONS)]}, least=1),
)
"""A JSON Schema."""
