"""/livez, /readyz, /metrics of every service, /autoscale of a dispatcher, and `sluice health`, which asks them."""

import json
import math
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from dispatcher import BlockingClient
from dispatcher.metrics import CLOCK_SKEW, INFRASTRUCTURE_UP, REGISTRY, WORKER_READY
from tests.support.figures import Figures
from tests.support.processes import Child, Children
from tests.support.servers import Server, free_port
from tests.support.stack import Stack
from tests.support.waiting import wait_until, wait_until_sync
from workers import Functions, FunctionWorker

SLACK = 4.0  # two cores, shared with everything else
PROGRAM = "from dispatcher.cli import main; main()"
Start = Callable[..., tuple[Child, str]]


@pytest.fixture
def start(children: Children, redis_url: str, tmp_path: Path) -> Start:
    """Start a command with probes, at an address that SLUICE_HEALTH says; its process and that address."""

    def start(*words: str, url: str = redis_url) -> tuple[Child, str]:
        address = f"127.0.0.1:{free_port()}"
        child = children.python(
            "-P", "-c", PROGRAM, *words, cwd=tmp_path,
            env={"SLUICE_REDIS_URL": url, "SLUICE_HEALTH": address, "SLUICE_LEASE_SECONDS": "2"},
        )  # fmt: skip
        try:
            wait_until_sync(
                lambda: ask(address, "/readyz")[0] == 200 or child.exit_code is not None,
                description=f"{words} is ready", timeout=60,
            )  # fmt: skip
        except AssertionError as error:
            raise AssertionError(f"{ask(address, '/readyz')}, {ask(address, '/livez')}: {child.text()}") from error
        assert child.exit_code is None, child.text()
        return child, address

    return start


def ask(address: str, path: str) -> tuple[int, str]:
    """Status and text of an answer; 0 when there is none."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def health(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, "health", *words], capture_output=True, text=True, check=False,
        env={**{name: value for name, value in os.environ.items() if name != "SLUICE_HEALTH"}, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["dispatcher", "scheduler"])
def test_a_service_answers_where_the_environment_says(start: Start, name: str) -> None:
    _, address = start(name, "start")
    assert ask(address, "/livez") == (200, "ok\n")
    status, page = ask(address, "/metrics")
    assert status == 200
    assert f'sluice_build_info{{component="{name}"' in page
    assert "process_start_time_seconds" in page
    wait_until_sync(lambda: "sluice_clock_skew_seconds" in ask(address, "/metrics")[1], description="the skew is known")
    assert ("sluice_redis_up 1.0" in page) == (name == "dispatcher")
    assert "sluice_worker_ready" not in page


def test_counters_of_a_pool_are_there_before_there_is_anything_to_count(start: Start, redis_url: str) -> None:
    """Else the first missed schedule would be no increase."""
    with BlockingClient(redis_url) as client:
        client.pools.create("etl")
    _, address = start("scheduler", "start")
    zero = 'sluice_schedules_missed_total{pool="etl"} 0.0'
    wait_until_sync(lambda: zero in ask(address, "/metrics?a=b")[1], description="the scheduler follows the pool")
    assert 'sluice_loop_errors_total{component="scheduler"} 0.0' in ask(address, "/metrics")[1]


def test_every_dispatcher_exports_the_same_numbers(start: Start, redis_url: str) -> None:
    with BlockingClient(redis_url) as client:
        client.pools.create("etl", limit=7)
        for _ in range(3):
            client.publish("f", pool="etl")
    addresses = [start("dispatcher", "start")[1] for _ in range(2)]
    zero = 'sluice_invariant_violations_total{invariant="I1",pool="etl"} 0.0'
    for address in addresses:  # ready comes a moment before the first look at the pools
        wait_until_sync(lambda: zero in ask(address, "/metrics")[1], description="it looks after the pool", timeout=30)
    pages = [ask(address, "/metrics")[1] for address in addresses]
    found = [
        sorted(line for line in page.splitlines() if line.startswith(("sluice_pool_", "sluice_runs_published")))
        for page in pages
    ]
    assert found[0] == found[1]
    assert 'sluice_runs_published_total{pool="etl",queue="default"} 3.0' in found[0]


def test_a_dispatcher_answers_those_who_scale_workers(start: Start, redis_url: str) -> None:
    with BlockingClient(redis_url) as client:
        client.pools.create("etl", limit=7)
        for _ in range(30):
            client.publish("f", pool="etl")
    _, address = start("dispatcher", "start")
    status, text = ask(address, "/autoscale/etl")
    assert (status, json.loads(text)) == (
        200, {"desired": 1, "online": 0, "admissible": 7, "held": 0, "queued": 30, "slots_per_worker": 0},
    )  # fmt: skip
    status, text = ask(address, "/autoscale/nothing")
    assert (status, "no work pool 'nothing'" in json.loads(text)["error"]) == (404, True)
    assert ask(address, "/autoscale")[0] == 404
    assert "/autoscale/POOL" in ask(address, "/")[1]


@pytest.mark.fault(52)
def test_a_dispatcher_without_its_server_lives_and_is_not_ready(
    start: Start, new_server: Callable[..., Server], figures: Figures
) -> None:
    server = new_server(aof=True)
    with BlockingClient(server.url) as client:
        client.pools.create("etl")
    child, address = start("dispatcher", "start", url=server.url)
    server.kill()
    wait_until_sync(lambda: ask(address, "/readyz")[0] == 503, description="it is not ready", timeout=40)
    assert ask(address, "/livez")[0] == 200
    assert ask(address, "/autoscale/etl")[0] == 503
    began = time.monotonic()
    page = ask(address, "/metrics")[1]
    figures.note("a scrape while Redis is away", time.monotonic() - began)
    assert time.monotonic() - began < 1 + SLACK
    assert "\nsluice_redis_up 0.0\n" in page
    assert "sluice_pool_" not in page
    server.start()
    wait_until_sync(lambda: ask(address, "/readyz")[0] == 200, description="it is ready again", timeout=30)
    pool = 'sluice_pool_info{pool="etl",type="function"} 1.0'
    wait_until_sync(lambda: pool in ask(address, "/metrics")[1], description="its pools are exported again")
    again = 'sluice_redis_reconnects_total{component="dispatcher"} 1.0'
    wait_until_sync(lambda: again in ask(address, "/metrics")[1], description="that it was away is counted")
    assert child.stop() == 0


@pytest.mark.fault(13)
def test_a_worker_without_its_server_is_not_ready(start: Start, new_server: Callable[..., Server]) -> None:
    server = new_server(aof=True)
    with BlockingClient(server.url) as client:
        client.pools.create("default", type="process")
    _, address = start("worker", "start", url=server.url)
    page = ask(address, "/metrics")[1]
    assert "\nsluice_worker_ready 1.0\n" in page
    assert 'sluice_infrastructure_up{type="process"} 1.0' in page
    wait_until_sync(lambda: "\nsluice_clock_skew_seconds " in ask(address, "/metrics")[1], description="it took a turn")
    server.freeze()
    wait_until_sync(lambda: ask(address, "/readyz")[0] == 503, description="it is not ready", timeout=20)
    assert "\nsluice_worker_ready 0.0\n" in ask(address, "/metrics")[1]
    assert health(f"http://{address}").returncode == 0
    assert health("--ready", f"http://{address}").returncode == 1
    server.thaw()
    wait_until_sync(lambda: ask(address, "/readyz")[0] == 200, description="it is ready again", timeout=30)


class Moody(FunctionWorker):
    """Says what it is told of its infrastructure."""

    well = True

    def is_well(self) -> bool:
        return self.well


@pytest.fixture
def nothing_exported() -> Iterator[None]:
    """What a worker of this test exports is not known after it."""
    yield
    WORKER_READY.set_function(lambda: math.nan)
    CLOCK_SKEW.set_function(lambda: math.nan)
    INFRASTRUCTURE_UP.clear()


@pytest.mark.usefixtures("nothing_exported")
async def test_a_worker_whose_infrastructure_is_away_is_not_ready(stack: Stack) -> None:
    kind = Moody(Functions())
    worker = await stack.worker(kind)
    worker.export()
    assert worker.is_ready
    kind.well = False
    assert worker.is_live
    assert not worker.is_ready
    page = generate_latest(REGISTRY).decode()
    assert "\nsluice_worker_ready 0.0\n" in page
    assert 'sluice_infrastructure_up{type="function"} 0.0' in page
    kind.well = True
    await wait_until(lambda: worker.is_ready, description="it is ready again")


def test_health_asks_the_address_of_the_environment(start: Start) -> None:
    _, address = start("dispatcher", "start")
    everywhere = f"0.0.0.0:{address.rpartition(':')[2]}"
    for words, environment in (
        ([address], {}),
        (["--ready", f"http://{address}"], {}),
        ([f"http://{address}/readyz"], {}),
        (["--ready"], {"SLUICE_HEALTH": everywhere}),
    ):
        done = health(*words, **environment)
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    done = health(f"{address}/nothing")
    assert (done.returncode, "404" in done.stderr) == (1, True)


def test_health_says_why_not() -> None:
    done = health(f"127.0.0.1:{free_port()}")
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)
    assert health("no-address").returncode == 1
    done = health()
    assert (done.returncode, "SLUICE_HEALTH" in done.stderr) == (2, True)
    assert "--ready" in health("--help").stdout
    assert health("--what").returncode == 2


def test_health_is_quick(start: Start) -> None:
    """Containers are asked every few seconds: 80 ms of CPU at most."""
    _, address = start("dispatcher", "start")
    spent = []
    for _ in range(5):
        before = os.times()
        assert health("--ready", address).returncode == 0
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(spent) <= 0.08, spent
