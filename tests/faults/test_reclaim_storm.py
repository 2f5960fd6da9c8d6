"""100,000 runs whose workers are all dead: taken back 64 a call, in two seconds of the server's time.

Runs with keys take about twice as long: each key's slots are one more place to leave.
"""

from collections.abc import Iterator

import pytest
import redis

from dispatcher.scripts import load
from tests.support.figures import Figures
from tests.support.servers import Server

ROOT = "sluice:{storm}"
RUNS, WORKERS, LEASE = 100_000, 500, 15_000
SECONDS, SLACK = 2.0, 2.5  # of CPU; cores that are shared do less in a second
START = 4_000_000_000_000


class Storm:
    """A pool on the test's clock, and scripts called on it."""

    def __init__(self, client: "redis.Redis") -> None:
        self.client, self.now = client, START
        client.set(f"{ROOT}:test-clock", 1)
        self.call("pool", "create", "function", "crashes", 3)

    def call(self, name: str, *args: str | int) -> list:
        return load(name).run_blocking(self.client, ROOT, self.now, *args)

    def hold_all(self) -> None:
        """Each worker is given as many runs as it may hold."""
        capacity = RUNS // WORKERS
        for worker in range(WORKERS):
            self.call("join", f"w{worker}", "||", capacity, LEASE, "function", 1, "", 0, "")
            runs = [(f"{worker:03}-{number:012}", "default|", "", "s") for number in range(capacity)]
            self.call("publish", *(word for run in runs for word in run))
            held = seen = 0
            while held < capacity:
                reply = self.call("turn", f"w{worker}", seen, 1)
                seen, held = reply[3], self.client.zcard(f"{ROOT}:slots:worker:w{worker}")

    def die_all(self) -> None:
        """Time goes on under observation, and nobody is heard of."""
        for _ in range(LEASE // 2_000 + 1):
            self.call("tick")
            self.now += 2_000


@pytest.fixture
def storm(server: Server) -> Iterator[Storm]:
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        yield Storm(client)


@pytest.mark.slow
@pytest.mark.fault(43)
def test_a_hundred_thousand_runs_are_taken_back_in_two_seconds(storm: Storm, figures: Figures) -> None:
    storm.hold_all()
    assert storm.client.zcard(f"{ROOT}:slots") == RUNS
    storm.die_all()
    storm.client.config_resetstat()
    before, taken = cpu_seconds(storm.client), 0
    while taken < RUNS:
        _, more, _, found, *_ = storm.call("tick")
        taken += found
        assert found or more, f"only {taken} of {RUNS} runs were taken back"
        storm.now += 1
    used, scripts = cpu_seconds(storm.client) - before, storm.client.info("commandstats")["cmdstat_evalsha"]
    figures.note("100,000 runs taken back, CPU of the server", used)
    figures.note("the mean call of these", scripts["usec_per_call"] / 1e6)
    assert storm.client.zcard(f"{ROOT}:slots") == storm.client.zcard(f"{ROOT}:workers") == 0
    assert storm.client.zcard(f"{ROOT}:front:default|") == RUNS
    assert used < SECONDS * SLACK


def cpu_seconds(client: "redis.Redis") -> float:
    found = client.info("cpu")
    return found["used_cpu_user"] + found["used_cpu_sys"]
