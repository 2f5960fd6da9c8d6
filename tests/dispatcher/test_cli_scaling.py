"""`sluice pool autoscale`, `sluice metrics keda`, `--start-within`: what scales workers, what a queue is held to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from dispatcher import BlockingClient, InvalidInput
from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode

Sluice = Callable[..., int]
WHOLE = {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
WINDOW = {
    "type": "object", "additionalProperties": False,
    "properties": {"stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600}},
}  # fmt: skip
TRIGGER = {
    "type": "object", "required": ["type", "metadata"], "additionalProperties": False,
    "properties": {
        "type": {"enum": ["prometheus", "metrics-api"]}, "metadata": TEXTS,
        "metricType": {"enum": ["AverageValue", "Value"]},
    },
}  # fmt: skip
BEHAVIOUR = {
    "type": "object", "additionalProperties": False, "properties": {"scaleUp": WINDOW, "scaleDown": WINDOW},
}  # fmt: skip
SPEC = {
    "type": "object", "required": ["scaleTargetRef", "triggers"], "additionalProperties": False,
    "properties": {
        "scaleTargetRef": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "pollingInterval": WHOLE, "cooldownPeriod": WHOLE, "minReplicaCount": WHOLE, "maxReplicaCount": WHOLE,
        "advanced": {
            "type": "object", "additionalProperties": False,
            "properties": {
                "horizontalPodAutoscalerConfig": {
                    "type": "object", "additionalProperties": False, "properties": {"behavior": BEHAVIOUR},
                },
            },
        },
        "triggers": {"type": "array", "minItems": 1, "items": TRIGGER},
    },
}  # fmt: skip
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
SCALED_OBJECT = {
    "type": "object", "required": ["apiVersion", "kind", "metadata", "spec"], "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "keda.sh/v1alpha1"}, "kind": {"const": "ScaledObject"},
        "metadata": {"type": "object", "properties": {"name": NAME, "namespace": NAME}, "required": ["name"]},
        "spec": SPEC,
    },
}  # fmt: skip
"""What KEDA 2 takes, as far as we use it."""


@pytest.fixture
def sluice(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sluice:
    """Run a command in this process; its exit code."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(end.value.code or 0)

    return run


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_autoscale_counts_what_a_limit_lets_in(
    sluice: Sluice, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with BlockingClient(redis_url) as client:
        client.pools.create("etl", limit=50)
        client.queues.create("slow", pool="etl", limit=3)
        for _ in range(20):
            client.publish("f", pool="etl", queue="slow")
    assert sluice("pool", "autoscale", "--pool", "etl", "-o", "json") == ExitCode.OK
    found = json.loads(printed(capsys))
    assert (found["admissible"], found["queued"], found["desired"]) == (3, 20, 1)
    assert sluice("pool", "autoscale", "--pool", "etl", "-q") == ExitCode.OK
    assert printed(capsys) == "1\n"
    assert sluice("pool", "autoscale", "--pool", "none") == ExitCode.NOT_FOUND


def test_autoscale_does_not_count_what_waits_for_a_key(
    sluice: Sluice, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with BlockingClient(redis_url) as client:
        client.pools.create("default")
        client.limits.set("tenant:*", 2)
        for _ in range(30):
            client.publish("f", keys=["tenant:acme"])
        client.publish("f")
    assert sluice("pool", "autoscale", "-o", "json") == ExitCode.OK
    found = json.loads(printed(capsys))
    assert (found["admissible"], found["queued"]) == (3, 31)


def keda(sluice: Sluice, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert sluice("metrics", "keda", *words) == ExitCode.OK
    found: dict[str, Any] = yaml.safe_load(printed(capsys))
    jsonschema_rs.validate(SCALED_OBJECT, found)
    return found


def test_keda_asks_a_dispatcher(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    found = keda(sluice, capsys, "--pool", "Etl_Big.1", "--namespace", "prod", "--min", "1", "--max", "40")
    assert found["metadata"] == {"name": "sluice-worker-etl-big-1", "namespace": "prod"}
    assert (found["spec"]["minReplicaCount"], found["spec"]["maxReplicaCount"]) == (1, 40)
    assert found["spec"]["triggers"][0]["metadata"]["url"].endswith(":4301/autoscale/Etl_Big.1")
    assert found["spec"]["triggers"][0]["metadata"]["valueLocation"] == "desired"


def test_keda_asks_prometheus(sluice: Sluice, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--pool", "etl", "--trigger", "prometheus", "--address", "http://prom:1", "--deployment", "mine")
    found = keda(sluice, capsys, *words)
    assert found["spec"]["scaleTargetRef"] == {"name": "mine"}
    assert found["spec"]["triggers"][0]["metadata"]["serverAddress"] == "http://prom:1"
    assert found["spec"]["triggers"][0]["metadata"]["query"] == 'max(sluice_pool_desired_workers{pool="etl"})'


@pytest.mark.parametrize("words", [("--min", "5", "--max", "4"), ("--pool", "a b"), ("--trigger", "redis")])
def test_keda_refuses_what_makes_no_sense(sluice: Sluice, words: tuple[str, ...]) -> None:
    assert sluice("metrics", "keda", *words) == ExitCode.USAGE


def test_how_soon_runs_should_start_is_a_setting_of_their_queue(
    sluice: Sluice, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with BlockingClient(redis_url) as client:
        client.pools.create("default")
        assert sluice("queue", "create", "quick", "--start-within", "1500ms") == ExitCode.OK
        assert client.queues.get("quick").start_within == 1.5
        assert sluice("queue", "update", "quick", "--start-within", "2m") == ExitCode.OK
        capsys.readouterr()
        assert sluice("queue", "inspect", "quick", "-o", "json") == ExitCode.OK
        assert json.loads(printed(capsys))["start_within"] == 120
        client.queues.update("quick", start_within=None)
        assert client.queues.get("quick").start_within == client.queues.get("default").start_within == 60
        for bad in (0, -1, 700_000, True, "30s"):
            with pytest.raises(InvalidInput, match="no time to start within"):
                client.queues.update("quick", start_within=bad)
    assert sluice("queue", "update", "quick", "--start-within", "soon") == ExitCode.USAGE


def test_a_file_declares_it_and_export_gives_it_back(
    sluice: Sluice, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sluice.yaml"
    file.write_text("pools:\n  default:\n    type: function\n    queues:\n      quick:\n        start_within: 5s\n")
    assert sluice("deploy", "--yes") == ExitCode.OK
    with BlockingClient(redis_url) as client:
        assert client.queues.get("quick").start_within == 5
    capsys.readouterr()
    assert sluice("deployment", "export", "--all") == ExitCode.OK
    assert yaml.safe_load(printed(capsys))["pools"]["default"]["queues"]["quick"]["start_within"] == 5
    assert sluice("deploy", "--dry-run") == ExitCode.OK
    assert "unchanged" in "".join(capsys.readouterr())
