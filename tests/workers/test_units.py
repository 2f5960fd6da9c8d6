"""Units of supervisors: what these tools themselves say of them, and that every value survives their quoting."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jsonschema_rs
import pytest

from dispatcher.cli import main
from dispatcher.errors import InvalidInput
from tests.support.deployment_schema import DEPLOYMENT
from tests.support.processes import Children
from tests.support.stack import PROGRAMS
from tests.support.tools import compose, wanted
from tests.support.waiting import wait_until_sync
from workers.units import PLATFORMS, Unit

PASSWORD = "canary-4f1c"
SECRET_URL = f"redis://:{PASSWORD}@127.0.0.1:1/0"
NASTY = (
    "two words", "50%", "%h %(ENV_HOME)s", "$HOME ${HOME} $$ $(HOME)", "a ;b", "a #b", ";", "#", "it's", 'say "no"',
    "back\\slash\\", "\\n", "{{ x }}", "*", "ü", ": -", "yes", "",
)  # fmt: skip


def install(*words: str, **env: str) -> tuple[int, str, str]:
    """The exit code, what is printed, and what is said beside it."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"SLUICE_REDIS_URL": SECRET_URL, "NO_COLOR": "1", **env}),
        redirect_stdout(output),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main(["worker", "install", *words])
    return int(str(ended.value.code or 0)), output.getvalue(), errors.getvalue()


def printed(*words: str, **env: str) -> str:
    code, output, errors = install(*words, **env)
    assert code == 0, errors
    assert PASSWORD not in output + errors
    return output


def refused(*words: str) -> str:
    code, output, errors = install(*words)
    assert (code, output) == (2, "")
    return errors


def unit(*words: str, executable: str = "/bin/true", **more: Any) -> Unit:
    given = {"user": "root", "address": "/etc/sluice/worker.env", "image": "sluice:1", "stop_seconds": 55, **more}
    return Unit("sluice-etl", "etl", executable, words, **given)


def yaml(text: str) -> Any:
    return pytest.importorskip("yaml").safe_load(text)


def systemd_words(line: str) -> list[str]:
    """A command line as systemd's manual says that it is read: quotes, escapes, then `%%` and `$$`."""
    words = [
        re.sub(r"\\(.)", r"\1", quoted) if quoted or not plain else plain
        for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)', line)
    ]
    rest = [re.sub(r"%%|\$\$", "", word) for word in words]
    assert not [word for word in rest if "%" in word or "$" in word], "nothing is left to be expanded"
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def test_systemd_accepts_its_unit(tmp_path: Path):
    analyze = wanted("systemd-analyze")
    plain = printed("systemd", "--pool", "etl", "--queue", "fast", "--limit", "20", "--user", "root")
    nasty = PLATFORMS["systemd"](unit(*NASTY, folder="/tmp"))
    for name, text in (("plain", plain), ("nasty", nasty)):
        file = tmp_path / f"{name}.service"
        file.write_text(text)
        done = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])
    (tmp_path / "bad.service").write_text(plain.replace("KillMode=mixed", "KillMode=colour"))
    done = subprocess.run(
        [analyze, "verify", str(tmp_path / "bad.service")], capture_output=True, text=True, timeout=60, check=False
    )
    assert "kill mode" in done.stderr, "it would tell"


def test_values_survive_systemd():
    text = PLATFORMS["systemd"](unit(*NASTY))
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert systemd_words(line) == ["/bin/true", *NASTY]


def test_what_a_unit_of_systemd_says():
    text = printed("systemd", "--pool", "etl", "--grace", "2m", "--cancel-grace", "5s", "--label", "gpu")
    assert "worker start --pool etl --grace 2m --cancel-grace 5s --label gpu\n" in text
    stop = int(re.findall(r"TimeoutStopSec=(\d+)", text)[0])
    assert stop >= 120 + 5 + 10
    for line in ("Restart=on-failure", "KillMode=mixed", "EnvironmentFile=/etc/sluice/worker.env"):
        assert f"\n{line}\n" in text


def test_what_settings_would_say_is_written_down():
    text = printed("systemd", SLUICE_POOL="nightly", SLUICE_GRACE_SECONDS="90")
    assert "worker start --pool nightly --grace 90s\n" in text


def test_supervisord_runs_its_program(children: Children, tmp_path: Path):
    """Started with every word as it was, again after 75, not again after 0, stopped by SIGTERM."""
    pytest.importorskip("supervisor")
    notes, folder = tmp_path / "notes", tmp_path / "50% of it"
    folder.mkdir()
    words = (str(PROGRAMS / "supervised.py"), *NASTY)
    section = PLATFORMS["supervisord"](unit(*words, executable=sys.executable, user=None, folder=str(folder)))
    conf = tmp_path / "supervisord.conf"
    head = f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
    conf.write_text(head.replace("%", "%%") + section)
    environment = {"SLUICE_TEST_NOTES": str(notes), "SLUICE_REDIS_URL": "redis://:p%40,;w@127.0.0.1:1/0"}
    child = children.python("-m", "supervisor.supervisord", "-c", str(conf), env=environment)

    def starts() -> list[Any]:
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    wait_until_sync(lambda: len(starts()) == 2, description="it was started again after 75", timeout=30)
    expected = {"words": list(NASTY), "url": environment["SLUICE_REDIS_URL"], "cwd": str(folder)}
    assert starts() == [expected] * 2

    def is_running() -> bool:
        """The second one: on a busy machine the first lived long enough to be called so."""
        _, *spawned_at = child.text().split("spawned: ")
        return len(spawned_at) == 2 and "entered RUNNING state" in spawned_at[1]

    wait_until_sync(is_running, description="it runs", timeout=30)
    os.kill(spawned(child.text()), signal.SIGUSR1)
    wait_until_sync(lambda: "exit status 0; expected" in child.text(), description="it was drained", timeout=30)
    os.kill(child.pid, signal.SIGTERM)
    wait_until_sync(lambda: child.exit_code is not None, description="supervisord has ended", timeout=30)
    assert len(starts()) == 2, "what was drained stays down"


def spawned(log: str) -> int:
    return int(re.findall(r"spawned: 'sluice-etl' with pid (\d+)", log)[-1])


def test_compose_accepts_its_file_and_values_survive(tmp_path: Path):
    words = compose()
    file = tmp_path / "compose.yaml"
    for text in (
        printed("compose", "--image", "sluice:1", "--pool", "etl", "--folder", "/app", "--user", "1000"),
        PLATFORMS["compose"](unit(*NASTY, health_port=4301)),
    ):
        file.write_text(text)
        done = subprocess.run(
            [*words, "-f", str(file), "config"], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "SLUICE_REDIS_URL": "redis://there", "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    (service,) = yaml(done.stdout)["services"].values()
    assert [word.replace("$$", "$") for word in service["command"]] == ["/bin/true", *NASTY]
    assert service["environment"] == {"SLUICE_REDIS_URL": "redis://there"}
    environment = {name: value for name, value in os.environ.items() if name != "SLUICE_REDIS_URL"}
    done = subprocess.run(
        [*words, "-f", str(file), "config"], capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "address of the server" in done.stderr


def test_what_a_compose_file_says():
    text = printed("compose", "--image", "sluice:1", "--pool", "etl", "--grace", "1m")
    service = yaml(text)["services"]["sluice-etl"]
    assert service["command"][-6:] == ["--pool", "etl", "--grace", "1m", "--health", "127.0.0.1:4301"]
    assert (service["restart"], service["stop_grace_period"]) == ("on-failure", "85s")
    assert "127.0.0.1:4301/livez" in service["healthcheck"]["test"][-1]


@pytest.mark.parametrize(
    "more", [(), ("--replicas", "3", "--secret", "My_Redis"), ("--user", "1000", "--folder", "/app")]
)
def test_kubernetes_would_accept_its_manifest(more: tuple[str, ...]):
    text = printed("kubernetes", "--image", "sluice:1", "--pool", "ETL_nightly.v2", *more)
    found = yaml(text)
    jsonschema_rs.validate(DEPLOYMENT, found)
    assert found["spec"]["selector"]["matchLabels"] == found["spec"]["template"]["metadata"]["labels"]
    pod = found["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] >= 30 + 10 + 10
    assert container["command"][:3] == ["sluice", "worker", "start"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    found["spec"]["template"]["spec"]["colour"] = "red"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(DEPLOYMENT, found)


def test_values_survive_kubernetes():
    (container,) = yaml(PLATFORMS["kubernetes"](unit(*NASTY, user=None, address="redis")))["spec"]["template"]["spec"][
        "containers"
    ]
    assert [word.replace("$$(", "$(") for word in container["command"]] == ["/bin/true", *NASTY]
    assert not [word for word in container["command"] if re.search(r"(?<!\$)\$\(", word)]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("nothing",), "Choose from"),
        (("systemd", "--pol", "x"), "Unknown option: --pol"),
        (("systemd", "--pool", "a b"), "no pool name"),
        (("systemd", "--queue", "a b"), "no queue name"),
        (("systemd", "--grace", "soon"), "soon"),
        (("systemd", "--limit", "0"), "no worker limit"),
        (("systemd", "--run-once"), "leave --run-once out"),
        (("systemd", "--unit", "a b"), "no name of a unit"),
        (("systemd", "--image", "x"), "--image is for compose and kubernetes"),
        (("compose", "--image", "x", "--env-file", "x"), "--env-file is for systemd"),
        (("compose", "--image", "x", "--health", "127.0.0.1:0"), "has no port that a unit could ask"),
        (("compose",), "compose wants --image"),
        (("kubernetes", "--image", "x", "--user", "me"), "wants the number of a user"),
        (("kubernetes", "--image", "x", "--health", "127.0.0.1:9000"), "asks from outside the container"),
        (("systemd", "--env-file", "here"), "no path for systemd"),
        (("systemd", "--folder", "here"), "give its whole path"),
        (("systemd", "--folder", "/a\nExecStart=/bin/b"), "control characters"),
    ],
)
def test_what_makes_no_unit_is_refused(words: tuple[str, ...], match: str):
    assert match in " ".join(refused(*words).split())


def test_a_name_for_kubernetes_has_a_letter_or_a_digit():
    with pytest.raises(InvalidInput, match="no name for Kubernetes"):
        PLATFORMS["kubernetes"](unit(user=None, address="__"))
