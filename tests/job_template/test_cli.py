"""`sluice pool template`, as a user types it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode

Sluice = Callable[..., tuple[int, str, str]]
TEMPLATE = """
job_configuration:
  env: "{{ env }}"
  working_dir: "/srv/{{ team }}"
variables:
  properties:
    team: {type: string, default: core}
    env: {type: object, default: {TZ: UTC}, additionalProperties: {type: string}}
secrets: {allow: ["env:DB_*"]}
"""


@pytest.fixture
def sluice(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Sluice:
    """Run a command in this process; exit code, output, errors. There is a process pool `jobs` and a file t.yaml."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)
    Path("t.yaml").write_text(TEMPLATE, encoding="utf-8")

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words)
        return int(end.value.code or 0), *capsys.readouterr()

    assert run("pool", "create", "jobs", "--type", "process")[0] == ExitCode.OK
    return run


def test_a_pool_has_the_template_of_its_type_until_one_is_set(sluice: Sluice):
    code, out, _ = sluice("pool", "template", "get", "jobs")
    assert code == ExitCode.OK
    assert json.loads(out)["job_configuration"]["env"] == "{{ env }}"
    assert sluice("pool", "template", "set", "jobs", "t.yaml")[0] == ExitCode.OK
    assert json.loads(sluice("pool", "template", "get", "jobs")[1])["secrets"] == {"allow": ["env:DB_*"]}
    assert sluice("pool", "template", "set", "jobs", "--default")[0] == ExitCode.OK
    assert json.loads(sluice("pool", "template", "get", "jobs")[1]) == json.loads(out)


def test_a_template_comes_from_stdin_as_well(sluice: Sluice, monkeypatch: pytest.MonkeyPatch):
    for words in (("validate",), ("set", "jobs")):
        monkeypatch.setattr("sys.stdin", io.StringIO(TEMPLATE))
        assert sluice("pool", "template", *words, "-")[0] == ExitCode.OK
    assert json.loads(sluice("pool", "template", "get", "jobs")[1])["secrets"] == {"allow": ["env:DB_*"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pool", "template", "validate", "none.yaml"), "none.yaml cannot be read: No such file or directory\n"),
        (("pool", "template", "render", "jobs", "--job-variable", "x"), "give --job-variable name=value"),
        (("pool", "preview", "jobs", "--hours", "-1"), "give --hours more than 0"),
    ],
)
def test_what_cannot_be_read_is_said(sluice: Sluice, words: tuple[str, ...], said: str):
    code, _, errors = sluice(*words)
    assert code == ExitCode.USAGE
    assert said in errors


def test_rendering_shows_the_configuration_and_who_set_it(sluice: Sluice):
    sluice("pool", "template", "set", "jobs", "t.yaml")
    words = ["--job-variable", "team=web", "--job-variable", 'env.P={"secretRef": "env:DB_P"}']
    code, out, _ = sluice("pool", "template", "render", "jobs", *words)
    assert code == ExitCode.OK
    assert json.loads(out) == {"env": {"TZ": "UTC", "P": {"secretRef": "env:DB_P"}}, "working_dir": "/srv/web"}
    code, out, _ = sluice("pool", "template", "render", "jobs", *words, "--explain", "-o", "json")
    assert code == ExitCode.OK
    rows = json.loads(out)
    assert {row["place"]: row["set_by"] for row in rows} == {
        "/env/TZ": "pool",
        "/env/P": "run",
        "/working_dir": "template, run",
    }


@pytest.mark.parametrize("words", [("validate",), ("set", "jobs")])
def test_a_template_with_faults_is_refused_with_all_of_them_and_changes_nothing(sluice: Sluice, words: tuple[str]):
    before = sluice("pool", "template", "get", "jobs")
    bad: dict[str, Any] = {
        "job_configuration": {"a": "{{ b }}"},
        "variables": {"properties": {"c": {"type": "widget"}}},
    }
    Path("bad.json").write_text(json.dumps(bad), encoding="utf-8")
    code, _, errors = sluice("pool", "template", *words, "bad.json")
    assert code == ExitCode.USAGE
    assert "/job_configuration/a" in errors
    assert "/variables/properties/c/type" in errors
    assert sluice("pool", "template", "get", "jobs") == before
    assert sluice("pool", "template", "validate", "t.yaml")[0] == ExitCode.OK


@pytest.mark.parametrize("text", ["[]", "null", "a: &x [*x]", "\0", "}"])
def test_what_is_no_template_is_refused(sluice: Sluice, text: str):
    Path("bad.yaml").write_text(text, encoding="utf-8")
    assert sluice("pool", "template", "validate", "bad.yaml")[0] == ExitCode.USAGE
    assert sluice("pool", "template", "set", "jobs", "bad.yaml")[0] == ExitCode.USAGE


def test_what_cannot_be_answered_says_why(sluice: Sluice):
    assert sluice("pool", "template", "get", "none")[0] == ExitCode.NOT_FOUND
    assert sluice("pool", "template", "set", "none", "t.yaml")[0] == ExitCode.NOT_FOUND
    assert sluice("pool", "template", "set", "jobs", "absent.yaml")[0] == ExitCode.USAGE
    assert sluice("pool", "template", "set", "jobs")[0] == ExitCode.USAGE
    sluice("pool", "create", "functions")
    assert "function workers" in sluice("pool", "template", "set", "functions", "t.yaml")[2]
    code, _, errors = sluice("pool", "template", "render", "jobs", "--job-variable", "envs=1")
    assert code == ExitCode.USAGE
    assert "/envs" in errors
