"""`sluice worker`: which pools it takes, how it ends, what is shown of it; and how a run that is watched ends."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatcher import BlockingClient, RetryPolicy
from dispatcher.cli.failures import ExitCode
from tests.support.processes import Child, Children
from tests.support.servers import free_port
from tests.support.waiting import wait_until_sync

PROGRAM = "from dispatcher.cli import main; main()"
TASKS = """
import asyncio
from workers import Functions
functions = Functions()

@functions.register
def add(a: int, b: int = 1) -> int:
    return a + b

@functions.register
async def nap(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"

@functions.register
async def fail() -> None:
    raise ValueError("no good")
"""
Start = Callable[..., Child]
Sluice = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with an application."""
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


@pytest.fixture
def client(redis_url: str) -> Iterator[BlockingClient]:
    """A client of an empty server."""
    with BlockingClient(redis_url) as opened:
        yield opened


@pytest.fixture
def start(children: Children, redis_url: str, folder: Path) -> Start:
    """Start `sluice worker start ...` as a process."""

    def launch(*words: str) -> Child:
        environment = {"SLUICE_REDIS_URL": redis_url}
        return children.python("-c", PROGRAM, "worker", "start", *words, env=environment, cwd=folder)

    return launch


@pytest.fixture
def sluice(redis_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Sluice:
    """Run a command to its end."""
    monkeypatch.setenv("SLUICE_REDIS_URL", redis_url)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-c", PROGRAM, *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)

    return run


def joined(client: BlockingClient, count: int = 1) -> list[Any]:
    """The workers, once there are so many."""

    def workers() -> list[Any]:
        found = client.workers.list()
        return found if len(found) == count else []

    return wait_until_sync(workers, description=f"{count} workers have joined", timeout=30.0)


def becomes(client: BlockingClient, run: Any, state: str) -> None:
    """Wait for a run's state."""
    wait_until_sync(lambda: client.get(run).state == state, description=f"the run is {state}")


def test_a_missing_pool_is_created_for_a_type_and_named_without(start: Start, client: BlockingClient) -> None:
    refused = start("--pool", "new", "--app", "tasks:functions")
    assert refused.wait(30) == ExitCode.NOT_FOUND
    assert "--type function" in refused.text()
    assert client.pools.list() == []
    start("--pool", "new", "--app", "tasks:functions", "--type", "function")
    wait_until_sync(lambda: client.workers.list(pool="new"), description="it has joined", timeout=30.0)
    assert client.pools.get("new").type == "function"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--type", "function"], ExitCode.CONFLICT, "'docker'"),
        (["--pool", "other", "--type", "teleport"], ExitCode.USAGE, "known: docker, function"),
        (["--pool", "other", "--type", "function"], ExitCode.USAGE, "needs --app"),
        (["--pool", "other", "--type", "function", "--app", "tasks"], ExitCode.USAGE, "names no application"),
        (["--pool", "other", "--type", "function", "--app", "nowhere:x"], ExitCode.USAGE, "No module named"),
        (
            ["--pool", "other", "--type", "function", "--app", "tasks:add"],
            ExitCode.USAGE,
            "must be a workers.Functions",
        ),
        (["--limit", "0"], ExitCode.USAGE, "worker limit"),
        (["--lease", "1s"], ExitCode.USAGE, "lease"),
        (["--name", "a b"], ExitCode.USAGE, "worker name"),
        (["--health", "127.0.0.1:99999", "--pool", "fine", "--app", "tasks:functions"], ExitCode.USAGE, "HOST:PORT"),
    ],
)
def test_what_does_not_fit_is_refused_and_makes_no_pool(
    start: Start, client: BlockingClient, words: list[str], code: int, said: str
) -> None:
    client.pools.create("default", type="docker")
    client.pools.create("fine")
    refused = start(*words)
    assert refused.wait(30) == code
    assert said in refused.text()
    assert "Traceback" not in refused.text()
    assert [pool.name for pool in client.pools.list()] == ["default", "fine"]


@pytest.mark.fault(6)
def test_sigterm_drains(start: Start, client: BlockingClient) -> None:
    client.pools.create("default")
    worker = start("--app", "tasks:functions", "--limit", "1")
    joined(client)
    running, waiting = client.publish("nap", {"seconds": 1.0}), client.publish("nap", {"seconds": 0.0})
    becomes(client, running, "running")
    worker.send(signal.SIGTERM)
    assert client.result(running, 10) == "rested"
    assert worker.wait() == ExitCode.OK
    assert client.get(waiting).state == "queued"
    assert client.workers.list() == []


@pytest.mark.fault(7)
def test_a_second_sigterm_hands_back_what_runs(start: Start, client: BlockingClient) -> None:
    client.pools.create("default")
    worker = start("--app", "tasks:functions")
    joined(client)
    run = client.publish("nap", {"seconds": 60})
    becomes(client, run, "running")
    worker.send(signal.SIGTERM)
    wait_until_sync(lambda: "no more runs" in worker.text(), description="it drains")
    (seen,) = client.workers.list()
    assert seen.held == 1
    worker.send(signal.SIGTERM)
    assert worker.wait() == ExitCode.OK
    found = client.get(run)
    assert (found.state, found.crashes) == ("queued", 0)


def test_run_once_takes_what_is_there_and_ends(start: Start, client: BlockingClient) -> None:
    client.pools.create("default")
    run = client.publish("add", {"a": 1})
    worker = start("--app", "tasks:functions", "--run-once")
    assert worker.wait(30) == ExitCode.OK
    assert client.get(run).result == 2


def test_filters_are_honoured_and_shown(start: Start, client: BlockingClient, sluice: Sluice) -> None:
    client.pools.create("default")
    words = "--queue reports --match etl-* --label gpu --only-labelled --name chosen --limit 7 --lease 5s"
    start("--app", "tasks:functions", *words.split())
    (worker,) = joined(client)
    (listed,) = json.loads(sluice("worker", "ls", "-o", "json").stdout)
    assert (listed["id"], listed["capacity"], listed["name"]) == (worker.id, 7, "chosen")
    shown = sluice("worker", "inspect", worker.id).stdout
    assert "etl-*, reports; only runs with labels gpu" in shown
    taken = client.publish("add", {"a": 1}, queue="etl-daily", labels=["gpu"])
    left = client.publish("add", {"a": 1}, queue="etl-daily")
    assert client.result(taken, 10) == 2
    assert client.get(left).state == "queued"
    assert sluice("worker", "drain", worker.id).returncode == ExitCode.OK
    wait_until_sync(lambda: not client.workers.list(), description="it has left")
    assert sluice("worker", "inspect", worker.id).returncode == ExitCode.NOT_FOUND


def test_probes_tell_whether_it_has_a_lease(start: Start, client: BlockingClient) -> None:
    client.pools.create("default")
    port = free_port()
    start("--app", "tasks:functions", "--health", f"127.0.0.1:{port}")
    joined(client)
    for path, word in (("livez", b"ok"), ("readyz", b"ok"), ("metrics", b"sluice_worker_turns_total")):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            assert word in answer.read()


def test_watching_exits_by_how_the_run_ended(start: Start, client: BlockingClient, sluice: Sluice) -> None:
    client.pools.create("default")
    start("--app", "tasks:functions")
    joined(client)
    done = sluice("run", "publish", "add", "--param", "a=41", "--watch")
    assert (done.returncode, done.stdout) == (ExitCode.OK, "42\n")
    failed = sluice("run", "publish", "fail", "--watch")
    assert (failed.returncode, failed.stdout) == (ExitCode.RUN_FAILED, "")
    assert "no good" in failed.stderr
    assert sluice("run", "publish", "unknown", "--watch").returncode == ExitCode.RUN_FAILED
    late = sluice("run", "publish", "nap", "--param", "seconds=60", "--timeout", "100ms", "--watch")
    assert late.returncode == ExitCode.RUN_TIMED_OUT
    run = sluice("run", "publish", "nap", "--param", "seconds=60").stdout.strip()
    assert sluice("run", "watch", run, "--timeout", "200ms").returncode == ExitCode.TIMEOUT
    assert sluice("run", "cancel", run, "--yes").returncode == ExitCode.OK
    cancelled = sluice("run", "watch", run, "-o", "json")
    assert cancelled.returncode == ExitCode.RUN_CANCELLED
    assert json.loads(cancelled.stdout)["state"] == "cancelled"


def test_dead_letters_are_seen_tried_again_and_forgotten(start: Start, client: BlockingClient, sluice: Sluice) -> None:
    client.pools.create("default")
    start("--app", "tasks:functions")
    joined(client)
    runs = [client.publish("fail", retries=0) for _ in range(2)]
    dead = [client.publish("fail", retry=RetryPolicy(1, delay=0)) for _ in range(3)]
    for run in [*runs, *dead]:
        becomes(client, run, "failed")
    table = sluice("dead", "ls").stdout.splitlines()
    assert table[1].split()[:4] == ["3", "retries_spent", "ValueError:", "no"]
    assert len(sluice("dead", "ls", "-q").stdout.split()) == 3
    assert "name the runs, or give --all" in sluice("dead", "retry").stderr
    assert "would try 3 dead letters again" in sluice("dead", "retry", "--all", "--dry-run").stderr
    again = sluice("dead", "retry", dead[0].id).stdout.strip()
    assert client.get(again).spec.retry_of == dead[0].id
    becomes(client, again, "failed")
    assert sluice("dead", "purge", "--cause", "ValueError", "--yes").returncode == ExitCode.OK
    assert client.dead.count() == 0


def test_a_run_is_tried_again_and_watched(start: Start, client: BlockingClient, sluice: Sluice) -> None:
    client.pools.create("default")
    start("--app", "tasks:functions")
    joined(client)
    run = client.publish("add", {"a": 1})
    becomes(client, run, "completed")
    done = sluice("run", "retry", run.id, "--watch")
    assert (done.returncode, done.stdout) == (ExitCode.OK, "2\n")
    later = client.publish("add", {"a": 1}, delay=3600)
    refused = sluice("run", "retry", later.id)
    assert refused.returncode == ExitCode.CONFLICT
    assert "is scheduled, not over" in refused.stderr


def test_a_function_that_cannot_be_ended_makes_the_worker_exit_75(
    start: Start, client: BlockingClient, sluice: Sluice, folder: Path
) -> None:
    (folder / "tasks.py").write_text(
        TASKS + "\n\n@functions.register\ndef sleeps():\n    import time; time.sleep(600)\n"
    )
    client.pools.create("default")
    worker = start("--app", "tasks:functions", "--cancel-grace", "0.2s", "--grace", "0.2s", "--lease", "2s")
    joined(client)
    run = client.publish("sleeps")
    becomes(client, run, "running")
    assert sluice("run", "cancel", run.id, "--yes").returncode == ExitCode.OK
    assert worker.wait(20) == 75
    assert "cannot be killed" in worker.text()
