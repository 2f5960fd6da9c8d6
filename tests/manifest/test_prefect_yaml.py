"""Reading prefect.yaml files of the shapes that projects have: what is mapped, what is noted, what is refused."""

from pathlib import Path

import pytest
import yaml

from dispatcher.manifest import Manifest, ManifestFaults, read_manifest

FILES = sorted((Path(__file__).parent / "prefect").glob("*.yaml"))
ENVIRONMENT = {"STAGE": "prod", "IMAGE": "registry/etl:7", "LIMIT": "3", "LOOP": "{{ $STAGE }}"}


def read(text: str) -> Manifest:
    return read_manifest(text, "prefect.yaml", ENVIRONMENT)


def document(text: str) -> dict[str, object]:
    """The document of the one deployment whose fields are given."""
    (declared,) = read("deployments:\n- name: a\n  entrypoint: f.py:g\n  work_pool: {name: p}\n" + text).deployments
    return declared.document.document()


def notes(text: str) -> list[str]:
    return [
        str(note)
        for note in read("deployments:\n- name: a\n  entrypoint: f.py:g\n  work_pool: {name: p}\n" + text).notes
    ]


def test_there_are_at_least_fifteen_shapes():
    assert len(FILES) >= 15


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_read_as_its_last_lines_say(file: Path):
    """Comments `#= ` hold what is expected: deployments, notes as line and pointer, or faults."""
    text = file.read_text()
    wanted = yaml.safe_load("".join(line[3:] for line in text.splitlines(keepends=True) if line.startswith("#= ")))
    assert outcome(text) == (wanted if "faults" in wanted else {"deployments": [], "notes": [], **wanted})


def outcome(text: str) -> dict[str, object]:
    try:
        manifest = read(text)
    except ManifestFaults as refused:
        return {"faults": [f"{each.line} {each.pointer}" for each in refused.findings]}
    documents = [each.document.document() for each in manifest.deployments]
    for schedule in (schedule for each in documents for schedule in each.get("schedules", [])):
        if schedule["id"].startswith(("cron-", "interval-", "rrule-")):
            del schedule["id"]  # made from its timing
    return {"deployments": documents, "notes": [f"{note.line} {note.pointer}" for note in manifest.notes]}


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        ("600", 600),
        ("'600'", 600),
        ("PT1H30M", 5400),
        ("P1D", 86_400),
        ("'0:10:00'", 600),
        ("'2 days, 01:00:00'", 176_400),
        ("1h", 3600),
    ],
)
def test_intervals_are_read_as_prefect_reads_durations(interval: str, seconds: int):
    (schedule,) = document(f"  schedules: [{{interval: {interval}}}]\n")["schedules"]  # type: ignore[misc, attr-defined]
    assert schedule["interval"] == seconds


def test_an_anchor_without_a_zone_is_utc():
    (schedule,) = document("  schedule: {interval: 60, anchor_date: 2030-01-01T06:00:00}\n")["schedules"]  # type: ignore[misc, attr-defined]
    assert schedule["anchor"] == "2030-01-01T06:00:00+00:00"


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("3", {"limit": 3}),
        ("'{{ $LIMIT }}'", {"limit": 3}),
        ("{limit: 2, collision_strategy: ENQUEUE}", {"limit": 2}),
        ("{limit: 2, collision_strategy: CANCEL_NEW}", {"limit": 2, "when_full": "skip"}),
        ("null", None),
    ],
)
def test_a_concurrency_limit_says_what_becomes_of_one_more(limit: str, found: object):
    assert document(f"  concurrency_limit: {limit}\n").get("concurrency") == found


def test_the_environment_is_put_in_once_and_stays_text():
    assert document("  parameters: {a: '{{ $LIMIT }}', b: '{{ $LOOP }}', c: 'x-{{ $STAGE }}'}\n")["parameters"] == {
        "a": "3",
        "b": "{{ $STAGE }}",
        "c": "x-prod",
    }


def test_an_empty_pull_is_none_and_no_pull_is_the_one_of_the_file():
    one = "- {name: %s, entrypoint: f.py:g, work_pool: {name: p}%s}\n"
    text = "pull:\n- prefect.deployments.steps.set_working_directory: {directory: /srv}\ndeployments:\n"
    text += one % ("a", "") + one % ("b", ", pull: []") + one % ("c", ", pull: null")
    pulls = [each.document.pull for each in read(text).deployments]
    assert pulls == [
        ({"set_working_directory": {"directory": "/srv"}},),
        (),
        ({"set_working_directory": {"directory": "/srv"}},),
    ]


def test_a_token_that_is_written_out_is_neither_kept_nor_shown():
    text = "  pull:\n  - prefect.deployments.steps.git_clone: {repository: 'https://h/r.git', access_token: canary}\n"
    assert "canary" not in str(document(text))
    (note,) = notes(text)
    assert "canary" not in note
    assert note.startswith("prefect.yaml:6: /deployments/0/pull/0/prefect.deployments.steps.git_clone/access_token")


def test_a_file_of_another_name_is_recognised_by_its_keys():
    text = "deployments:\n- {name: a, entrypoint: 'f.py:g', work_pool: {name: p}}\n"
    (declared,) = read_manifest(text, "deploy/production.yml", {}).deployments
    assert declared.document.pool == "p"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("  surprise: 1\n", "5: /deployments/0/surprise"),
        ("  schedule: {cron: 61 * * * *}\n", "5: /deployments/0/schedule"),
        ("  schedules:\n  - cron: 0 0 * * *\n  - {timezone: UTC}\n", "7: /deployments/0/schedules/1"),
        ("  schedules:\n  - cron: 0 0 * * *\n    timezone: Mars\n", "6: /deployments/0/schedules/0"),
        ("  schedules:\n  - cron: 0 0 * * *\n    slug: a b\n", "6: /deployments/0/schedules/0"),
        ("  schedules:\n  - cron: 0 0 * * *\n    every: 3\n", "7: /deployments/0/schedules/0/every"),
        ("  schedules: 5\n", "5: /deployments/0/schedules"),
        ("  parameters: [1]\n", "5: /deployments/0/parameters"),
        ("  tags: [1]\n", "5: /deployments/0/tags/0"),
        ("  description: '{{ $NOBODY }}'\n", "5: /deployments/0/description"),
        (
            "  concurrency_limit: {limit: 1, collision_strategy: DROP}\n",
            "5: /deployments/0/concurrency_limit/collision_strategy",
        ),
        ("  concurrency_limit: -1\n", "5: /deployments/0/concurrency_limit"),
        ("  pull: [{a: 1, b: 2}]\n", "5: /deployments/0/pull/0"),
    ],
)
def test_what_is_wrong_is_told_where_the_file_says_it(text: str, place: str):
    with pytest.raises(ManifestFaults) as refused:
        document(text)
    assert str(refused.value).startswith(f"prefect.yaml:{place}: "), str(refused.value)
