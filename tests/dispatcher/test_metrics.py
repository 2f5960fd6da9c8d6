"""Metrics: counting in batches, bounded labels, names."""

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from dispatcher import metrics


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


def test_queues_beyond_the_bound_count_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_known_queues", set())
    labels = [metrics.queue_label(f"q{number}") for number in range(501)]
    assert labels[:500] == [f"q{number}" for number in range(500)]
    assert labels[500] == metrics.OTHER_QUEUE
    assert metrics.queue_label("q7") == "q7"


def test_the_page_has_every_metric_with_help() -> None:
    page = generate_latest(metrics.REGISTRY).decode()
    for name in ("runs_published_total", "runs_finished_total", "run_queue_seconds", "fencing_rejections_total"):
        assert f"# HELP sluice_{name} " in page
