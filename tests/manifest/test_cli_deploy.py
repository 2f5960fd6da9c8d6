"""`sluice deploy` and `sluice deployment export`, in a terminal and without one."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from dispatcher.cli import main
from dispatcher.cli.failures import ExitCode
from dispatcher.client.blocking import BlockingClient
from tests.support.terminals import Screen, in_terminal

PROGRAM = "from dispatcher.cli import main; main()"


class Ended(NamedTuple):
    """How a command ended, and what it printed where."""

    returncode: int
    stdout: str
    stderr: str


Sluice = Callable[..., Ended]
FILE = """pools:
  calls: {limit: 4}
deployments:
  - {name: a, pool: calls, function: f, parameters: {n: 1}, job_variables: {env: {DB_PASSWORD: canary}}}
  - {name: b, pool: calls, function: f}
"""
GREEN, YELLOW, RED = "\x1b[32m", "\x1b[33m", "\x1b[31m"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "sluice.yaml"
    found.write_text(FILE)
    return found


@pytest.fixture
def sluice(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Sluice:
    """Run a command to its end, away from a terminal."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(words)
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def terminal(tmp_path: Path, redis_url: str) -> Callable[..., Screen]:
    """Run a command in a pseudo-terminal."""

    def run(*words: str, answers: tuple[tuple[str, str], ...] = (), **env: str) -> Screen:
        command = [sys.executable, "-P", "-c", PROGRAM, *words]
        return in_terminal(
            command, cwd=tmp_path, env={"SLUICE_REDIS_URL": redis_url, "NO_COLOR": "", **env}, answers=answers
        )

    return run


def names(redis_url: str) -> list[str]:
    with BlockingClient(redis_url) as client:
        return [stored.name for stored in client.deployments.list()]


def test_a_plan_is_data_and_the_rest_is_told_beside_it(file: Path, sluice: Sluice):
    done = sluice("deploy")
    assert (done.returncode, done.stdout) == (0, "+ pool calls\n+ deployment a\n+ deployment b\n")
    assert done.stderr.splitlines() == ["3 to create", "applied 3 changes"]
    again = sluice("deploy", "sluice.yaml", "--all")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr.splitlines() == ["3 unchanged", "nothing to change"]


def test_a_dry_run_writes_nothing(file: Path, sluice: Sluice, redis_url: str):
    done = sluice("deploy", "--dry-run", "--diff")
    assert "    /parameters/n: 1\n" in done.stdout
    assert "nothing was changed" in done.stderr
    assert names(redis_url) == []


def test_differences_are_shown_without_what_sounds_secret(file: Path, sluice: Sluice):
    shown = sluice("deploy", "--diff")
    file.write_text(FILE.replace("n: 1", "n: two").replace("canary", "canary2").replace("4", "8"))
    done = sluice("deploy", "--diff")
    assert done.stdout == (
        "~ pool calls\n    /limit: 4 -> 8\n"
        '~ deployment a\n    /parameters/n: 1 -> "two"\n    /job_variables/env/DB_PASSWORD: "***" -> "***"\n'
    )
    assert "canary" not in shown.stdout + done.stdout


def test_programs_read_the_plan_as_json(file: Path, sluice: Sluice):
    rows = json.loads(sluice("deploy", "--dry-run", "-o", "json").stdout)
    assert [(row["action"], row["kind"], row["name"], row["pool"]) for row in rows] == [
        ("create", "pool", "calls", "calls"),
        ("create", "deployment", "a", "calls"),
        ("create", "deployment", "b", "calls"),
    ]
    assert {"pointer": "/parameters/n", "old": None, "new": 1} in rows[1]["differences"]


def test_a_terminal_shows_colours_and_asks_before_it_deletes(
    file: Path, terminal: Callable[..., Screen], redis_url: str
):
    created = terminal("deploy")
    assert created.code == 0
    assert f"{GREEN}+ deployment b\x1b[0m" in created.text
    assert "Type yes" not in created.text
    file.write_text(FILE.replace("n: 1", "n: 2").replace("  - {name: b, pool: calls, function: f}\n", ""))
    question = "Delete 1 deployment: b? Type yes: "
    refused = terminal("deploy", "--prune", answers=((question, "no\n"),))
    assert refused.code == ExitCode.USAGE
    assert f"{YELLOW}~ deployment a\x1b[0m" in refused.text
    assert f"{RED}- deployment b\x1b[0m" in refused.text
    assert "nothing was changed" in refused.text
    assert names(redis_url) == ["a", "b"]
    assert terminal("deploy", "--prune", answers=((question, "yes\n"),)).code == 0
    assert names(redis_url) == ["a"]


def test_a_terminal_without_colours_is_left_without(file: Path, terminal: Callable[..., Screen]):
    assert "\x1b[" not in terminal("deploy", "--dry-run", NO_COLOR="1").text


def test_without_a_terminal_nothing_is_deleted_unasked(file: Path, sluice: Sluice, redis_url: str):
    sluice("deploy")
    file.write_text(
        FILE.replace("  - {name: b, pool: calls, function: f}\n", "  - {name: c, pool: calls, function: f}\n")
    )
    refused = sluice("deploy", "--prune")
    assert refused.returncode == ExitCode.USAGE
    assert "this would delete 1 deployment: b: say so with --yes" in refused.stderr
    assert names(redis_url) == ["a", "b"]
    assert sluice("deploy", "--prune", "--yes").returncode == 0
    assert names(redis_url) == ["a", "c"]


def test_every_fault_is_a_line_with_its_place_and_nothing_is_written(file: Path, sluice: Sluice, redis_url: str):
    file.write_text(FILE.replace("limit: 4", "limit: -4").replace("{n: 1}", "{n: '{{ $NOBODY_HAS_THIS }}'}"))
    refused = sluice("deploy")
    assert refused.returncode == ExitCode.USAGE
    assert [line.split(": ")[1:3] for line in refused.stderr.splitlines()] == [
        ["sluice.yaml:2", "/pools/calls/limit"],
        ["sluice.yaml:4", "/deployments/0/parameters/n"],
    ]
    with BlockingClient(redis_url) as client:
        assert client.pools.list() == []


def test_notes_of_a_prefect_yaml_are_told_and_do_not_stop_it(tmp_path: Path, sluice: Sluice, redis_url: str):
    sluice("pool", "create", "p", "--type", "process")
    deployment = "- name: a\n  entrypoint: f.py:g\n  work_pool: {name: p}\n  sla: [{name: s}]\n"
    text = f"prefect-version: 3\ndeployments:\n{deployment}"
    (tmp_path / "prefect.yaml").write_text(text)
    done = sluice("deploy")
    assert done.returncode == 0
    assert "note: prefect.yaml:6: /deployments/0/sla: is not supported" in done.stderr
    assert names(redis_url) == ["a"]


def test_job_variables_are_held_against_the_template_of_a_pool_that_the_file_only_uses(tmp_path: Path, sluice: Sluice):
    template = {"job_configuration": {"working_dir": "/srv/{{ team }}"}, "variables": {"properties": {"team": {}}}}
    (tmp_path / "t.json").write_text(json.dumps(template))
    sluice("pool", "create", "p", "--type", "process")
    sluice("pool", "template", "set", "p", "t.json")
    text = "deployments: [{name: a, entrypoint: f.py:g, work_pool: {name: p, job_variables: {NAME: web}}}]\n"
    (tmp_path / "prefect.yaml").write_text(text.replace("NAME", "team"))
    assert sluice("deploy").returncode == ExitCode.OK
    (tmp_path / "prefect.yaml").write_text(text.replace("NAME", "env"))
    refused = sluice("deploy")
    assert refused.returncode == ExitCode.USAGE
    assert "/job_variables/env: is no variable of this pool" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploy",), "there is no sluice.yaml or prefect.yaml here"),
        (("deploy", "none.yaml"), "none.yaml cannot be read: No such file"),
        (("deploy", "."), ". cannot be read: Is a directory"),
        (("deploy", "latin.yaml"), "is no text in UTF-8"),
        (("deploy", "f.yaml", "--all", "--name", "x"), "--all and --name"),
        (("deploy", "f.yaml", "--name", "x*"), "f.yaml has no deployment x*"),
        (("deploy", "f.yaml", "--name", "a", "--name", "typo"), "f.yaml has no deployment typo"),
        (("deployment", "export"), "give names of deployments, or --all"),
        (("deployment", "export", "a", "--all"), "give names of deployments, or --all"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, sluice: Sluice, words: tuple[str, ...], said: str):
    (tmp_path / "latin.yaml").write_bytes("é".encode("latin-1"))
    (tmp_path / "f.yaml").write_text(FILE)
    refused = sluice(*words)
    assert refused.returncode == ExitCode.USAGE
    assert said in refused.stderr


def test_an_export_is_a_file_that_changes_nothing(file: Path, tmp_path: Path, sluice: Sluice):
    sluice("deploy")
    printed = sluice("deployment", "export", "--all").stdout
    assert sluice("deployment", "export", "--all", "-o", "out.yaml").returncode == 0
    assert (tmp_path / "out.yaml").read_text() == printed
    assert sluice("deploy", "out.yaml").stderr.splitlines()[-1] == "nothing to change"
    assert sluice("deployment", "export", "nobody").returncode == ExitCode.NOT_FOUND
