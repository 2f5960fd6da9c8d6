"""`sluice up` and the services that are started one by one."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from dispatcher.cli.failures import ExitCode
from dispatcher.embedded import running_url
from tests.support.processes import Child, Children
from tests.support.servers import free_port
from tests.support.waiting import wait_until_sync

PROGRAM = "from dispatcher.cli import main; main()"
TASKS = """
import asyncio
from workers import Functions
functions = Functions()

@functions.register
def double(number: int) -> int:
    return 2 * number

@functions.register
async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with an application, and no server set."""
    monkeypatch.delenv("SLUICE_REDIS_URL", raising=False)
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def sluice(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    command = [sys.executable, "-P", "-c", PROGRAM, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def up(children: Children, folder: Path, *words: str) -> Child:
    """Start `sluice up`; returns when it says so."""
    child = children.python("-c", PROGRAM, "up", *words, cwd=folder)
    wait_until_sync(
        lambda: "Next:" in child.text() or child.exit_code is not None, description="it is up", timeout=30.0
    )
    assert "Sluice is up" in child.text()
    return child


def test_other_commands_find_it_and_data_outlives_it(children: Children, folder: Path) -> None:
    first = up(children, folder, "--app", "tasks:functions")
    assert str(folder / ".sluice") in first.text()
    published = sluice(folder, "run", "publish", "double", "--param", "number=21", "--watch")
    assert (published.returncode, published.stdout) == (ExitCode.OK, "42\n")
    delayed = sluice(folder, "run", "publish", "double", "--param", "number=4", "--in", "300ms", "--watch")
    assert delayed.stdout == "8\n"
    first.send(signal.SIGINT)
    assert first.wait() == ExitCode.OK
    assert running_url(folder / ".sluice") is None
    second = up(children, folder)
    assert "none, because no --app was given" in second.text()
    assert len(sluice(folder, "run", "ls", "-q").stdout.split()) == 2
    unstarted = sluice(folder, "run", "publish", "double", "--expires", "200ms", "--watch")
    assert unstarted.returncode == ExitCode.RUN_EXPIRED
    assert second.stop() == ExitCode.OK


def test_a_folder_has_one_owner(children: Children, folder: Path) -> None:
    first = up(children, folder)
    refused = sluice(folder, "up")
    assert refused.returncode == ExitCode.CONFLICT
    assert "is in use" in refused.stderr
    assert sluice(folder, "status").returncode == ExitCode.OK
    assert first.stop() == ExitCode.OK


def test_a_port_of_its_own(children: Children, folder: Path) -> None:
    port = free_port()
    child = up(children, folder, "--port", str(port))
    assert f"redis://127.0.0.1:{port}/0" in child.text()
    assert f":{port}" in sluice(folder, "status").stderr
    assert child.stop() == ExitCode.OK


def metrics(child: Child) -> str:
    """What its endpoint answers, at the address that it printed."""
    (address,) = [line.split()[1] for line in child.text().splitlines() if line.startswith("Metrics:")]
    with urllib.request.urlopen(address.replace("/metrics", "/readyz"), timeout=30) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())


def test_it_has_metrics_of_all_that_runs_in_it(children: Children, folder: Path) -> None:
    child = up(children, folder, "--app", "tasks:functions", "--health", "127.0.0.1:0")
    done = sluice(folder, "run", "publish", "double", "--param", "number=2", "--watch")
    assert done.returncode == ExitCode.OK
    wait_until_sync(
        lambda: 'sluice_runs_finished_total{outcome="completed",pool="default",queue="default"} 1.0' in metrics(child),
        description="its run is counted",
        timeout=30.0,
    )
    assert 'sluice_build_info{component="up"' in metrics(child)
    assert "sluice_worker_ready 1.0" in metrics(child)
    assert child.stop() == ExitCode.OK


def test_a_usual_port_that_is_taken_is_told_and_one_that_was_asked_for_is_refused(
    children: Children, folder: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        child = children.python("-c", PROGRAM, "up", cwd=folder, env={"SLUICE_HEALTH": address})
        wait_until_sync(
            lambda: "Next:" in child.text() or child.exit_code is not None, description="it is up", timeout=30.0
        )
        assert f"warning: no metrics, {address} cannot be listened on" in child.text()
        assert "Metrics:" not in child.text()
        assert sluice(folder, "status").returncode == ExitCode.OK
        assert child.stop() == ExitCode.OK
        refused = sluice(folder, "up", "--health", address)
        assert refused.returncode == ExitCode.USAGE
        assert f"error: --health {address} cannot be listened on" in refused.stderr
    assert running_url(folder / ".sluice") is None


def test_it_waits_for_runs_and_hands_them_back_at_the_second_signal(children: Children, folder: Path) -> None:
    child = up(children, folder, "--app", "tasks:functions")
    run = sluice(folder, "run", "publish", "nap", "--param", "seconds=60").stdout.strip()
    wait_until_sync(
        lambda: '"held": 1' in sluice(folder, "worker", "ls", "-o", "json").stdout, description="it runs", timeout=30.0
    )
    child.send(signal.SIGTERM)
    wait_until_sync(lambda: "ending" in child.text(), description="it ends")
    assert child.exit_code is None
    child.send(signal.SIGTERM)
    assert child.wait() == ExitCode.OK
    again = up(children, folder)
    assert '"state": "queued"' in sluice(folder, "run", "inspect", run, "-o", "json").stdout
    assert again.stop() == ExitCode.OK


def test_it_ends_when_its_server_does(children: Children, folder: Path) -> None:
    child = up(children, folder)
    pid = int((folder / ".sluice" / "server.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    assert child.wait() == ExitCode.FAILED
    assert "error: the server ended" in child.text()


@pytest.mark.parametrize("app", ["nowhere:functions", "tasks", "tasks:double"])
def test_a_bad_application_ends_it_with_the_reason(folder: Path, app: str) -> None:
    done = sluice(folder, "up", "--app", app)
    assert done.returncode == ExitCode.USAGE
    assert "Traceback" not in done.stderr
    assert running_url(folder / ".sluice") is None


@pytest.mark.parametrize("name", ["dispatcher", "scheduler"])
def test_a_service_of_its_own_answers_probes_and_ends_at_a_signal(
    children: Children, folder: Path, redis_url: str, name: str
) -> None:
    port = free_port()
    child = children.python(
        "-c", PROGRAM, name, "start", "--health", f"127.0.0.1:{port}", env={"SLUICE_REDIS_URL": redis_url}, cwd=folder
    )
    wait_until_sync(lambda: f"{name} started" in child.text(), description="it has started", timeout=30.0)
    for path in ("livez", "readyz", "metrics"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            assert answer.status == 200
    assert child.stop() == ExitCode.OK


def test_a_service_without_a_server_says_so(folder: Path) -> None:
    done = sluice(folder, "scheduler", "start")
    assert done.returncode == ExitCode.UNREACHABLE
    assert "sluice up" in done.stderr
