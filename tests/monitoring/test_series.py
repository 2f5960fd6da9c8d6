"""Rules and dashboards ask only for what Sluice exports, by the definitions of the code."""

import re

import pytest

from tests.support.queries import (
    Asked,
    dashboards,
    filled_in,
    metrics_of,
    of_annotations,
    of_panels,
    of_rules,
    recorded,
)
from tests.support.series import DEFINED

# What Prometheus itself knows of alerts.
OF_PROMETHEUS = {"ALERTS"}


@pytest.mark.parametrize("asked", list(of_rules()), ids=lambda asked: asked.place)
def test_a_rule_uses_only_what_sluice_exports(asked: Asked):
    assert metrics_of(asked.expr) - DEFINED - recorded() == set()


@pytest.mark.parametrize("asked", [*of_panels(), *of_annotations()], ids=lambda asked: asked.place)
def test_a_panel_uses_only_what_sluice_exports(asked: Asked):
    assert metrics_of(filled_in(asked.expr)) - DEFINED - recorded() - OF_PROMETHEUS == set()


def test_variables_are_filled_from_what_sluice_exports():
    texts = [
        variable["query"]["query"]
        for board in dashboards().values()
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]
    assert {found for text in texts for found in re.findall(r"label_values\((\w+)", text)} <= DEFINED
    assert len(texts) > 4


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ('max by (pool) (rate(a_total{b="c_total"}[5m])) > 0', {"a_total"}),
        ("a / on (pool) group_left (type) b:c:d offset 5m", {"a", "b:c:d"}),
        ("histogram_quantile(0.99, sum by (le) (a_bucket)) unless time() - x == 1e3", {"a_bucket", "x"}),
        ('absent(a{b="}"}) or vector(0)', {"a"}),
    ],
)
def test_names_are_found_in_queries(expr: str, names: set[str]):
    assert metrics_of(expr) == names
