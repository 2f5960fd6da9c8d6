"""Deployments whose entrypoints are inspected before `deployment create`, `update` and `deploy` write them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dispatcher.cli.failures import ExitCode
from tests.deployments.conftest import Sluice

FLOWS = "def load(day: str, n: int = 1): ...\ndef clean(): ...\n"
FILE = """pools:
  default: {type: process}
deployments:
  - name: load
    entrypoint: flows.py:load
    parameters: {n: 1}
  - {name: clean, entrypoint: 'flows.py:clean'}
"""
Documents = Callable[[], dict[str, Any]]


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    found = tmp_path / "flows.py"
    found.write_text(FLOWS)
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "sluice.yaml"
    found.write_text(FILE)
    return found


def test_a_parameter_that_does_not_fit_the_function_is_refused(flows: Path, sluice: Sluice, documents: Documents):
    created = sluice("deployment", "create", "load", "--entrypoint", "flows.py:load")
    assert (created.code, created.err) == (0, "deployment 'load' is there, in pool default\n")
    assert documents()["load"]["parameter_schema"]["required"] == ["day"]
    refused = sluice("deployment", "run", "load", "--param", "day=x", "--param", "n=many")
    assert refused.code == ExitCode.USAGE
    assert "/parameters/n" in refused.err
    assert sluice("deployment", "run", "load").code == ExitCode.USAGE
    assert sluice("run", "ls", "-q").out == ""
    assert sluice("deployment", "run", "load", "--param", "day=x").code == 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("\n1 / 0\n", "flows.py:2: ZeroDivisionError"),
        ("import sys\nsys.exit('no')\n", "flows.py:2: SystemExit: no"),
        ("def lode(): ...\n", "flows.py has no function 'load'; near: lode"),
        ("def load(n: int): ...\n", '/parameters/n: "many" is not of type "integer"'),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    flows: Path, sluice: Sluice, documents: Documents, code: str, said: str
):
    flows.write_text(code)
    words = ["--entrypoint", "flows.py:load", "--param", "n=many"]
    refused = sluice("deployment", "create", "load", *words)
    assert (refused.code, refused.out) == (ExitCode.USAGE, "")
    assert said in refused.err
    assert documents() == {}
    created = sluice("deployment", "create", "load", *words, "--no-inspect")
    assert created.code == 0
    assert "parameter_schema" not in documents()["load"]


def test_code_that_is_elsewhere_is_said_in_one_line(sluice: Sluice, documents: Documents):
    created = sluice("deployment", "create", "load", "--entrypoint", "away.py:load")
    assert created.code == 0
    assert created.err.splitlines()[:-1] == [
        "not inspected: away.py:load is not here, its parameters are checked when it runs"
    ]
    assert "parameter_schema" not in documents()["load"]


def test_the_code_is_looked_for_in_its_working_directory(flows: Path, sluice: Sluice, documents: Documents):
    (flows.parent / "src").mkdir()
    (flows.parent / "src" / "flows.py").write_text("def load(other: int): ...\n")
    assert sluice("deployment", "create", "a", "--entrypoint", "flows.py:load", "--working-dir", "src").code == 0
    assert sluice("deployment", "create", "b", "--entrypoint", "flows.py:load", "--working-dir", "/nowhere").code == 0
    assert [found["parameter_schema"]["required"] for found in documents().values()] == [["other"], ["day"]]


def test_a_schema_goes_with_what_is_run(flows: Path, sluice: Sluice, documents: Documents):
    sluice("deployment", "create", "a", "--entrypoint", "flows.py:load")
    schema = documents()["a"]["parameter_schema"]
    assert sluice("deployment", "update", "a", "--description", "x").code == 0
    assert documents()["a"]["parameter_schema"] == schema
    assert sluice("deployment", "update", "a", "--entrypoint", "flows.py:load", "--no-inspect").code == 0
    assert documents()["a"]["parameter_schema"] == schema
    assert sluice("deployment", "update", "a", "--entrypoint", "flows.py:clean").code == 0
    assert documents()["a"]["parameter_schema"]["properties"] == {}
    assert sluice("deployment", "update", "a", "--command", "true").code == 0
    assert "parameter_schema" not in documents()["a"]


def test_an_update_with_a_fault_does_not_move_it_either(flows: Path, sluice: Sluice, documents: Documents):
    sluice("pool", "create", "other", "--type", "process")
    sluice("deployment", "create", "a", "--entrypoint", "flows.py:load")
    before = documents()
    for words in (["flows.py:gone"], ["flows.py:load", "--param", "n=many"]):
        assert sluice("deployment", "update", "a", "--pool", "other", "--entrypoint", *words).code == ExitCode.USAGE
        assert documents() == before


def test_a_file_is_inspected_from_its_folder_and_again_changes_nothing(
    flows: Path, file: Path, sluice: Sluice, documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sluice("deploy", str(file)).code == 0
    assert documents()["load"]["parameter_schema"]["required"] == ["day"]
    for words in ([], ["--no-inspect"]):
        assert sluice("deploy", str(file), *words).err.splitlines()[-1] == "nothing to change"
    flows.unlink()
    again = sluice("deploy", str(file))
    assert again.err.splitlines()[0] == "not inspected, their entrypoints are not here: load, clean"
    assert again.err.splitlines()[-1] == "nothing to change"
    flows.write_text(FLOWS.replace("day: str", "day: int"))
    assert sluice("deploy", str(file)).out == "~ deployment load\n"


def test_all_faults_of_a_file_are_told_with_their_lines(
    flows: Path, file: Path, sluice: Sluice, documents: Documents, tmp_path: Path
):
    (tmp_path / "broken.py").write_text("print('x')\nraise KeyError(1)\n")
    file.write_text(FILE.replace("n: 1", "n: many") + "  - {name: c, entrypoint: 'broken.py:f'}\n")
    refused = sluice("deploy", "--yes")
    assert refused.code == ExitCode.USAGE
    assert refused.err.splitlines() == [
        'error: sluice.yaml:6: /deployments/0/parameters/n: "many" is not of type "integer"',
        "error: sluice.yaml:8: /deployments/2/entrypoint: broken.py cannot be imported: broken.py:2: KeyError: 1",
        "hint: `--no-inspect` leaves out the entrypoints: their code is not imported",
    ]
    assert documents() == {}
    assert sluice("deploy", "--name", "clean").code == 0
    assert sluice("deploy", "--no-inspect").code == 0
    assert set(documents()) == {"load", "clean", "c"}


def test_code_that_is_cloned_for_each_run_is_not_inspected(
    flows: Path, file: Path, sluice: Sluice, documents: Documents
):
    flows.write_text("1 / 0\n")
    file.write_text(FILE.replace("    parameters", "    pull: [git_clone: {repository: /srv/r.git}]\n    parameters"))
    assert "flows.py:1: ZeroDivisionError" in sluice("deploy", "--name", "clean").err
    done = sluice("deploy", "--name", "load")
    assert (done.code, done.err.splitlines()[0]) == (0, "not inspected, their entrypoints are not here: load")


def test_an_export_has_the_schemas_and_applies_to_the_same_state(
    flows: Path, file: Path, sluice: Sluice, documents: Documents, tmp_path: Path
):
    file.write_text(FILE + "  - {name: bare, entrypoint: 'flows.py:load', parameter_schema: null}\n")
    sluice("deploy")
    before = documents()
    assert "parameter_schema" not in before["bare"]
    exported = sluice("deployment", "export", "--all").out
    (tmp_path / "out.yaml").write_text(exported)
    flows.write_text("1 / 0\n")
    assert sluice("deploy", "out.yaml").err.splitlines()[-1] == "nothing to change"
    sluice("deployment", "delete", "load", "clean", "bare", "--yes")
    assert sluice("deploy", "out.yaml").code == 0
    assert documents() == before
    assert sluice("deployment", "export", "--all").out == exported


def test_functions_have_no_pull_steps(file: Path, sluice: Sluice, documents: Documents):
    file.write_text(
        "pools:\n  calls: {type: function}\ndeployments:\n"
        "  - {name: f, pool: calls, function: f, pull: [set_working_directory: {directory: /srv}]}\n"
    )
    refused = sluice("deploy")
    assert refused.code == ExitCode.USAGE
    assert "/pull: pool 'calls' executes functions" in refused.err
    assert documents() == {}
