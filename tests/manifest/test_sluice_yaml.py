"""Reading a sluice.yaml: what it declares, the environment in its texts, and every fault with its place."""

import pytest

from dispatcher.manifest import Manifest, ManifestFaults, read_manifest
from dispatcher.manifest.environment import escape

ENVIRONMENT = {"IMAGE": "etl:3", "LIMIT": "4", "SHA": "1234567", "OCTAL": "007", "LOUD": "true", "LOOP": "{{ $IMAGE }}"}
ONE = "deployments:\n  - name: a\n    function: f\n"


def read(text: str, environment: dict[str, str] | None = None) -> Manifest:
    return read_manifest(text, "sluice.yaml", ENVIRONMENT if environment is None else environment)


def faults(text: str) -> list[str]:
    with pytest.raises(ManifestFaults) as refused:
        read(text)
    return [str(found) for found in refused.value.findings]


def test_pools_queues_limits_and_deployments_are_read():
    manifest = read(
        """
definitions:
  nightly: &nightly
    cron: 0 3 * * *
    timezone: Europe/Berlin
pools:
  etl:
    type: process
    limit: 4
    retention: 2h
    queues:
      fast: {priority: 1}
      slow:
    limits:
      tenant:*: 2
      api:billing: {limit: 1, when_full: skip}
deployments:
  - name: load
    pool: etl
    queue: fast
    entrypoint: flows.py:load
    timeout: 5m
    schedules: [*nightly, {interval: 1h, id: hourly}]
"""
    )
    pool = manifest.pools["etl"]
    assert (pool.type, pool.limit, pool.retention, pool.crashes) == ("process", 4, 7200.0, 3)
    assert pool.queues["fast"] is not None
    assert (pool.queues["fast"].priority, pool.queues["slow"]) == (1, None)
    assert {key: (limit.limit, limit.when_full) for key, limit in pool.limits.items()} == {
        "tenant:*": (2, "wait"),
        "api:billing": (1, "skip"),
    }
    (deployment,) = manifest.deployments
    assert deployment.document.timeout == 300
    assert [schedule.cron or schedule.id for schedule in deployment.document.schedules] == ["0 3 * * *", "hourly"]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("'{{ $LIMIT }}'", 4),
        ("'{{$LOUD}}'", True),
        ("'{{ $OCTAL }}'", "007"),
        ("'x-{{ $LIMIT }}-{{ $IMAGE }}'", "x-4-etl:3"),
        ("'{{ $LOOP }}'", "{{ $IMAGE }}"),
        ("'{{ $LOOP }}!'", "{{ $IMAGE }}!"),
        ("'{{ $NONE ?? \"a } b\" }}'", "a } b"),
        ("'{{ $NONE ?? 5 }}'", 5),
        ("'{{ $NONE ?? null }}'", None),
        ("'{{ $IMAGE ?? \"other\" }}'", "etl:3"),
        ("'\\{{ $IMAGE }}'", "{{ $IMAGE }}"),
        ("'\\\\{{ $IMAGE }}'", "\\{{ $IMAGE }}"),
        ("'{{ parameters.day }}'", "{{ parameters.day }}"),
    ],
)
def test_the_environment_is_put_into_texts_once(written: str, found: object):
    (deployment,) = read(f"{ONE}    parameters: {{x: {written}}}\n").deployments
    assert deployment.document.parameters == {"x": found}
    assert type(deployment.document.parameters["x"]) is type(found)


def test_a_field_of_text_takes_a_variable_that_looks_like_a_number():
    (deployment,) = read(
        f"{ONE}    version: '{{{{ $SHA }}}}'\n    concurrency: {{limit: '{{{{ $LIMIT }}}}'}}\n"
    ).deployments
    assert deployment.document.version == "1234567"
    assert deployment.document.concurrency is not None
    assert deployment.document.concurrency.limit == 4


@pytest.mark.parametrize("text", ["{{ $A }}", "\\{{ $A }}", 'x {{ $A ?? "}" }} \\\\{{$B}}', "{{ a }}", "{{ $ }}"])
def test_a_text_that_is_escaped_is_read_as_it_was(text: str):
    (deployment,) = read(f"{ONE}    parameters: {{x: '{escape(text)}'}}\n", {"A": "1", "B": "2"}).deployments
    assert deployment.document.parameters == {"x": text}


def test_anchors_of_definitions_may_name_variables_that_only_some_have():
    read(f"definitions: {{unused: '{{{{ $NOBODY }}}}'}}\n{ONE}")


def test_all_that_is_wrong_is_told_at_once_with_its_line():
    found = faults(
        """pools:
  a b: {}
  etl: {limit: -1, queues: {x y: {}, z: {priority: 0}}, limits: {loose: 1, 'deployment:a': 2}}
surprise: 1
deployments:
  - name: a
    function: f
    queue: no queue
    colour: red
  - name: b
    command: [a]
    function: f
  - name: c
    function: f
    parameters: {x: '{{ $NOBODY }}', y: '{{ $1 }}', z: '{{ $NO ?? [1] }}'}
  - name: c
    function: f
    schedules: [{cron: '* * *', interval: 5}]
  - just text
"""
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["sluice.yaml:2", "/pools/a b"],
        ["sluice.yaml:3", "/pools/etl/limit"],
        ["sluice.yaml:3", "/pools/etl/limits/deployment:a"],
        ["sluice.yaml:3", "/pools/etl/limits/loose"],
        ["sluice.yaml:3", "/pools/etl/queues/x y"],
        ["sluice.yaml:3", "/pools/etl/queues/z/priority"],
        ["sluice.yaml:4", "/surprise"],
        ["sluice.yaml:8", "/deployments/0/queue"],
        ["sluice.yaml:9", "/deployments/0/colour"],
        ["sluice.yaml:10", "/deployments/1"],
        ["sluice.yaml:15", "/deployments/2/parameters/x"],
        ["sluice.yaml:15", "/deployments/2/parameters/y"],
        ["sluice.yaml:15", "/deployments/2/parameters/z"],
        ["sluice.yaml:18", "/deployments/3/schedules/0"],
        ["sluice.yaml:19", "/deployments/4"],
    ]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("{cron: 61 * * * *}", "is no cron"),
        ("{cron: 0 0 * * *, timezone: Mars/Base}", "no time zone 'Mars/Base'"),
        ("{rrule: FREQ=SOMETIMES}", "rrule"),
        ("{at: 2030-01-01T00:00:00}", "has no time zone"),
    ],
)
def test_schedules_that_have_no_instants_are_refused_where_they_stand(schedule: str, said: str):
    (found,) = faults(f"{ONE}    description: x\n    schedules:\n      - {schedule}\n")
    assert found.startswith("sluice.yaml:6: /deployments/0/schedules/0")
    assert said in found


def test_two_deployments_of_one_name_are_refused_with_both_lines():
    (found,) = faults("deployments:\n- {name: a, function: f}\n- {name: a, function: g}\n")
    assert found == "sluice.yaml:3: /deployments/1/name: 'a' is the name of the deployment in line 2 too"


@pytest.mark.parametrize("text", ["- a\n", "text\n", "pools: []\n", "deployments: {}\n", "", "pools: {a: [1]}\n"])
def test_other_shapes_are_refused(text: str):
    assert faults(text)
