"""Rules of Prometheus: they parse, every alert is seen to fire and to stay quiet, and each has its page to turn to."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.support.queries import PROMETHEUS, ROOT, alerts, recorded
from tests.support.tools import promtool

PAGE = (ROOT / "docs" / "alerts.md").read_text()
UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


@pytest.mark.prometheus
def test_the_scrape_config_and_its_rules_are_valid():
    assert "4 rule files found" in promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.prometheus
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_quiet_as_written(path: Path):
    assert "SUCCESS" in promtool("test", "rules", path)


def expectations() -> list[tuple[str, bool]]:
    """Alerts and whether they are expected to fire, of every unit test."""
    groups = [group for path in UNIT_TESTS for group in yaml.safe_load(path.read_text())["tests"]]
    return [
        (case["alertname"], bool(case["exp_alerts"])) for group in groups for case in group.get("alert_rule_test", ())
    ]


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "stays quiet"])
def test_every_alert_is_tried_both_ways(fires: bool):
    tried = {name for name, outcome in expectations() if outcome is fires}
    assert alerts().keys() - tried == set()
    assert tried - alerts().keys() == set(), "there is no such alert"


def test_the_page_says_what_each_recorded_series_is():
    rows = [line.split("|")[1] for line in sections()["Recorded series"].splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([^`]+)`", "".join(rows))) == sorted(recorded())


def sections() -> dict[str, str]:
    """Sections of the page by their headings."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_alert_has_its_section_and_no_section_is_left_over():
    headings = [heading for heading in sections() if heading.startswith("Sluice")]
    assert set(headings) == set(alerts())
    assert [name for name, count in Counter(headings).items() if count > 1] == []


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(name: str):
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
    assert rule["annotations"]["summary"]
    assert re.search(rf"^\*\*{rule['labels']['severity']}\*\*", sections()[name], re.MULTILINE)
    assert {word for word in ("**Look at**", "**Do**") if word not in sections()[name]} == set()
