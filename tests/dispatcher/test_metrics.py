"""Metrics: counting in batches, names, the page about them, values that are not known."""

import math
import re
import subprocess
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics import exposition

from dispatcher import metrics, scripts
from scripts import metrics_page
from tests.support.scraping import Scrape
from tests.support.tools import wanted


def test_a_tally_counts_when_flushed() -> None:
    registry = CollectorRegistry()
    counter = Counter("runs", "Runs.", ("pool", "queue"), registry=registry)
    tally = metrics.Tally()
    tally.add(counter, "p", "q")
    tally.add(counter, "p", "q", amount=4)
    assert registry.get_sample_value("runs_total", {"pool": "p", "queue": "q"}) is None
    tally.flush()
    tally.flush()
    assert registry.get_sample_value("runs_total", {"pool": "p", "queue": "q"}) == 5


def test_a_gauge_that_is_not_known_is_not_exported() -> None:
    registry = CollectorRegistry()
    gauge = metrics.KnownGauge("ready", "Whether.", registry)
    assert registry.get_sample_value("ready") is None
    gauge.set(0)
    assert registry.get_sample_value("ready") == 0
    gauge.set_function(lambda: math.nan)
    assert registry.get_sample_value("ready") is None


def test_docs_metrics_md_is_made_from_the_definitions() -> None:
    """`python scripts/metrics_page.py` writes it."""
    text = metrics_page.PAGE.read_text(encoding="utf-8")
    assert metrics_page.page(text) == text


def test_the_bounds_of_the_histograms_are_those_of_the_script() -> None:
    text = (Path(scripts.__file__).parent / "lua" / "include" / "histograms.lua").read_text()
    for letter, bounds in (("w", metrics.WAIT_BOUNDS), ("d", metrics.DURATION_BOUNDS)):
        said = re.findall(rf"ms <= (\d+) (?:then return|and) '{letter}(\d+)'", text)
        assert [(str(round(1000 * bound)),) * 2 for bound in bounds] == said


def test_no_series_says_when_it_was_created() -> None:
    metrics.LOOP_ERRORS.labels(component="tests")
    assert "_created" not in generate_latest(metrics.REGISTRY).decode()


def test_both_expositions_have_every_family(redis_url: str) -> None:
    """OpenMetrics refuses a counter without `_total` and a histogram without its bars."""
    registry = CollectorRegistry()
    found = Scrape(redis_url).families.values()

    class Fixed:
        def collect(self):
            return found

    registry.register(Fixed())
    assert exposition.generate_latest(registry).endswith(b"# EOF\n")
    assert b"sluice_redis_up 1.0" in generate_latest(registry)


def test_promtool_finds_nothing_to_say(redis_url: str) -> None:
    registry = CollectorRegistry()
    from dispatcher.clock import SystemClock
    from dispatcher.collector import Observer, SnapshotCollector

    observer = Observer(redis_url, SystemClock())
    registry.register(SnapshotCollector(observer.snapshot))
    page = generate_latest(registry) + generate_latest(metrics.REGISTRY)
    observer.close()
    done = subprocess.run([wanted("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
