"""Dashboards: they are what the generator writes, what Grafana takes, and ask only for what there is."""

import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from scripts.grafana import writing
from tests.support.dashboard_schema import DASHBOARD
from tests.support.queries import (
    DASHBOARDS,
    ROOT,
    dashboards,
    filled_in,
    of_annotations,
    of_panels,
)
from tests.support.tools import promtool

BOARDS = dashboards()
every_board = pytest.mark.parametrize("name", BOARDS)


def test_the_files_are_what_the_generator_writes():
    assert {name: writing.text(board) for name, board in writing.dashboards().items()} == {
        path.name: path.read_text() for path in DASHBOARDS.glob("*.json")
    }, "run scripts/dashboards"


def test_the_generator_removes_what_is_no_dashboard_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "old.json").write_text("{}")
    monkeypatch.setattr(writing, "FOLDER", tmp_path)
    writing.main()
    assert {path.name for path in tmp_path.iterdir()} == set(BOARDS)


def test_there_are_four_dashboards_with_addresses_that_stay():
    assert {board["uid"] for board in BOARDS.values()} == {
        "sluice-overview",
        "sluice-queues",
        "sluice-workers",
        "sluice-control-plane",
    }
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


@every_board
def test_grafana_takes_it(name: str):
    faults = [
        f"{'/'.join(map(str, error.instance_path))}: {error.message[:200]}"
        for error in jsonschema_rs.validator_for(DASHBOARD).iter_errors(BOARDS[name])
    ]
    assert faults == []


def broken(path: str, value: Any) -> dict[str, Any]:
    """A good dashboard with one thing changed."""
    board: Any = json.loads(json.dumps(BOARDS["sluice-overview.json"]))
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place = board
    for step in steps:
        place = place[step]
    place[last] = value
    return board


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("uid", "x" * 41),
        ("uid", "has blanks in it"),
        ("schemaVersion", "39"),
        ("graphTooltip", 3),
        ("panels", []),
        ("panels/1/gridPos/w", 25),
        ("panels/1/gridPos/x", 24),
        ("panels/1/type", "graph"),
        ("panels/1/targets", []),
        ("panels/1/targets/0/refId", ""),
        ("panels/1/targets/0/expr", ""),
        ("panels/1/datasource", "Prometheus"),
        ("panels/1/fieldConfig/defaults/thresholds/mode", "relative"),
        ("panels/1/options/colorMode", "shiny"),
        ("templating/list/0/type", "interval?"),
        ("templating/list/0/hide", 3),
        ("annotations/list/0/iconColor", None),
        ("links/0/type", "page"),
    ],
)
def test_a_dashboard_that_grafana_does_not_take_is_found(path: str, value: object):
    assert jsonschema_rs.validator_for(DASHBOARD).is_valid(BOARDS["sluice-overview.json"])
    assert not jsonschema_rs.validator_for(DASHBOARD).is_valid(broken(path, value))


@every_board
def test_panels_stand_beside_each_other(name: str):
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARDS[name]["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24, panel["title"]
        cells = itertools.product(range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"]))
        for cell in cells:
            assert taken.setdefault(cell, panel["title"]) == panel["title"], f"{panel['title']} covers {taken[cell]}"


@every_board
def test_ids_titles_and_refs_are_used_once(name: str):
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    in_rows: list[tuple[str, str]] = []
    row = ""
    for panel in panels:
        row = panel["title"] if panel["type"] == "row" else row
        in_rows.append((row, panel["title"]))
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(refs)) == len(refs)
    assert len(set(in_rows)) == len(in_rows)


@every_board
def test_every_variable_is_used_and_every_used_one_is_there(name: str):
    board = BOARDS[name]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    text = json.dumps([board["panels"], board["templating"], board["annotations"]])
    assert [variable for variable in variables if f"${variable}" not in text and f"${{{variable}}}" not in text] == []
    assert variables["datasource"]["query"] == "prometheus"
    for asked in of_panels():
        filled_in(asked.expr)


@pytest.mark.prometheus
def test_every_query_parses(tmp_path: Path):
    asked = [*of_panels(), *of_annotations()]
    recording = [{"record": f"query:{number}", "expr": filled_in(each.expr)} for number, each in enumerate(asked)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recording}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", path)


def test_provisioning_names_what_is_there():
    folder = ROOT / "compose" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    prometheus = yaml.safe_load((ROOT / "compose" / "prometheus" / "prometheus.yml").read_text())
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "sluice.yml").read_text())["providers"]
    assert provider["type"] == "file"
