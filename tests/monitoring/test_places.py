"""Prometheus, Grafana and compose.yaml agree on names, ports and folders."""

from typing import Any

import pytest
import yaml

from tests.support.queries import PROMETHEUS, ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text())["services"]
SCRAPED = {
    (name, lookup["port"])
    for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    for lookup in job.get("dns_sd_configs", ())
    for name in lookup["names"]
}
GRAFANA = ROOT / "compose" / "grafana" / "provisioning"


@pytest.mark.parametrize(("name", "port"), sorted(SCRAPED))
def test_what_is_scraped_is_a_service_that_listens_there_on_a_network_of_prometheus(name: str, port: int):
    service = COMPOSE[name]
    assert f"0.0.0.0:{port}" in str([service.get("command"), service.get("environment")])
    assert set(service["networks"]) & set(COMPOSE["prometheus"]["networks"])


def test_every_service_of_sluice_that_lasts_is_scraped():
    lasting = {
        name
        for name, service in COMPOSE.items()
        if str(service.get("command", "")).startswith("['sluice'") and "'start'" in str(service["command"])
    }
    assert lasting == {name for name, _ in SCRAPED}


def test_folders_are_mounted_where_they_are_looked_for():
    assert "./prometheus:/etc/prometheus:ro" in COMPOSE["prometheus"]["volumes"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in COMPOSE["prometheus"]["command"]
    (provider,) = yaml.safe_load((GRAFANA / "dashboards" / "sluice.yml").read_text())["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in COMPOSE["grafana"]["volumes"]
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in COMPOSE["grafana"]["volumes"]


def test_grafana_asks_the_prometheus_of_compose():
    (source,) = yaml.safe_load((GRAFANA / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert set(COMPOSE["grafana"]["networks"]) & set(COMPOSE["prometheus"]["networks"])
