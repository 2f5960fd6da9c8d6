"""Hypothesis drives the model and the real engine side by side; both are compared after every call (I1 to I6).

`SLUICE_MODEL_EXAMPLES` (default 250 a server) makes it go on for longer; CI repeats the same examples every time.
"""

import os
from collections.abc import Sequence

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.servers import EVERY_KIND, Server

from .engine import Engine
from .history import KEYS, LABELS, LANES, LIMITS, QUEUES
from .pair import Pair
from .state import HELD, Run

EXAMPLES = int(os.environ.get("SLUICE_MODEL_EXAMPLES", "250"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    database=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=list(HealthCheck),
)

AGAIN = st.sampled_from([False] * 5 + [True])
PICK = st.integers(0, 1_000)
PICKS = st.lists(st.integers(0, 1_000), min_size=0, max_size=3)
BUCKETS = st.tuples(
    st.sampled_from(QUEUES), st.sampled_from(LABELS), st.lists(st.sampled_from(KEYS), max_size=3, unique=True)
)
OUTCOMES = st.sampled_from(
    [
        ("completed", ""), ("completed", "x"), ("failed", "retries_spent"), ("retry", "0"), ("retry", "300"),
        ("return", ""), ("cancelled", ""), ("crashed", ""), ("lost", ""),
    ]
)  # fmt: skip
POLICIES = ["wait", "wait", "wait", "skip", "replace", "wait_one"]
MAYBE_LIMIT = st.sampled_from(["", "0", "1", "2", "3"])


class SideBySide(RuleBasedStateMachine):
    """One pool; each rule is one call, or time that goes by."""

    client: "redis.Redis"

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(Engine(self.client, "m"))
        self.model = self.pair.model
        self.seen: dict[str, int] = {}
        self.names: list[str] = []

    def teardown(self) -> None:
        self.pair.check_all()
        self.pair.engine.forget()

    def _run(self, pick: int, states: set[str] | None = None) -> Run | None:
        runs = [run for run in self.model.runs.values() if states is None or run.state in states]
        return runs[pick % len(runs)] if runs else None

    def _worker(self, pick: int) -> str:
        return self.names[pick % len(self.names)] if self.names else "w9999"

    @initialize(lane=st.sampled_from(LANES), limit=MAYBE_LIMIT, capacity=st.integers(1, 4))
    def begin(self, lane: str, limit: str, capacity: int) -> None:
        self.pair.limit("t:*", limit)
        self.join(lane, capacity, True, 3000, False)
        self.join("||", 2, True, 3000, False)

    @rule(
        buckets=st.lists(BUCKETS, min_size=1, max_size=5),
        delay=st.sampled_from([0, 0, 0, 50, 600]),
        deadline=st.sampled_from([0, 0, 0, 0, 60, 900]),
        key=st.sampled_from(["", "", "", "one", "two"]),
        cache=st.sampled_from(["", "", "", "", "a day"]),
        old=PICKS,
        again=AGAIN,
    )
    def publish(
        self, buckets, delay: int, deadline: int, key: str, cache: str, old: Sequence[int], again: bool
    ) -> None:
        known = {run.id for pick in old[:1] if (run := self._run(pick))}
        self.pair.publish(buckets, delay=delay, deadline=deadline, key=key, cache=cache, old=sorted(known), again=again)

    @rule(
        lane=st.sampled_from(LANES), capacity=st.integers(1, 4), auto=st.booleans(),
        lease=st.sampled_from([2000, 3000]), again=AGAIN, site=st.sampled_from(["", "", "here", "there"]),
    )  # fmt: skip
    def join(self, lane: str, capacity: int, auto: bool, lease: int, again: bool, site: str = "") -> None:
        if len(self.model.workers) < 6:
            queues = [name for name in lane.split("|", maxsplit=1)[0].split(",") if name and "*" not in name]
            self.names.append(self.pair.join(lane, capacity, lease, auto=auto, queues=queues, again=again, site=site))

    @rule(
        pick=PICK, outcomes=st.lists(OUTCOMES, max_size=4), offer=st.sampled_from([True] * 6 + [False]),
        up_to_date=st.booleans(), again=AGAIN,
    )  # fmt: skip
    def turn(self, pick: int, outcomes, offer: bool, up_to_date: bool, again: bool) -> None:
        name = self._worker(pick)
        held = self.model.held_by(name)
        ends = [(run.id, run.token, *outcome, "result") for run, outcome in zip(held, outcomes, strict=False)]
        self.pair.turn(name, self.seen.get(name, 0), offer=offer, ends=ends, again=again)
        if up_to_date and name in self.model.workers:
            self.seen[name] = self.model.workers[name].number

    @rule(pick=PICK, run=PICK, off=st.sampled_from([-1, 0, 1]), outcome=OUTCOMES, again=AGAIN)
    def end_of_another(self, pick: int, run: int, off: int, outcome: tuple[str, str], again: bool) -> None:
        chosen = self._run(run, HELD) or self._run(run)
        if chosen and chosen.token and (off or chosen.worker != self._worker(pick)):
            end = (chosen.id, chosen.token + off, *outcome, "")
            name = self._worker(pick)
            self.pair.turn(name, self.seen.get(name, 0), offer=False, ends=[end], again=again)

    @rule(pick=PICK, off=st.sampled_from([0, 0, 0, 1]), again=AGAIN)
    def start(self, pick: int, off: int, again: bool) -> None:
        name = self._worker(pick)
        self.pair.start(name, [(run.id, run.token + off) for run in self.model.held_by(name)], again=again)

    @rule(pick=PICK, without=st.integers(0, 3), lag=st.booleans(), foreign=st.booleans(), again=AGAIN)
    def heartbeat(self, pick: int, without: int, lag: bool, foreign: bool, again: bool) -> None:
        name = self._worker(pick)
        worker = self.model.workers.get(name)
        seen = self.seen.get(name, 0) if lag or not worker else worker.number
        held = [run.id for run in self.model.held_by(name) if run.number <= seen]
        self.pair.heartbeat(name, seen, held[without:] + ["r999999"] * foreign, again=again)

    @rule(pick=PICK, off=st.sampled_from([0] * 9 + [1]), again=AGAIN)
    def suspend(self, pick: int, off: int, again: bool) -> None:
        if run := self._run(pick, {"running", "cancelling"}):
            self.pair.suspend(run.worker, run.id, run.token + off, again=again)

    @rule(pick=PICK, off=st.sampled_from([0] * 9 + [1]), again=AGAIN)
    def resume(self, pick: int, off: int, again: bool) -> None:
        suspended = [run for run in self.model.held() if run.suspended]
        if suspended:
            run = suspended[pick % len(suspended)]
            self.pair.resume(run.worker, run.id, run.token + off, again=again)

    @rule(
        pick=PICK, again=AGAIN,
        verdict=st.sampled_from([("cancelled", "asked"), ("failed", "timed_out"), ("retry", "90"), ("return", "")]),
    )  # fmt: skip
    def stuck(self, pick: int, verdict: tuple[str, str], again: bool) -> None:
        if run := self._run(pick, {"running", "cancelling"}):
            self.pair.stuck(run.worker, run.id, run.token, verdict, again=again)

    @rule(pick=PICK, again=AGAIN)
    def leave(self, pick: int, again: bool) -> None:
        self.pair.leave(self._worker(pick), again=again)

    @rule(pick=PICK, again=AGAIN)
    def drain(self, pick: int, again: bool) -> None:
        self.pair.drain(self._worker(pick), again=again)

    @rule(picks=PICKS, held=st.booleans(), again=AGAIN)
    def cancel(self, picks: list[int], held: bool, again: bool) -> None:
        found = [self._run(pick, HELD if held else None) for pick in picks]
        ids = {run.id: 1 for run in found if run} or {"r999999": 1}
        self.pair.cancel(list(ids), again=again)

    @rule(most=st.sampled_from([1, 64]), again=AGAIN)
    def promote(self, most: int, again: bool) -> None:
        self.pair.promote(most, again=again)

    @rule()
    def tick(self) -> None:
        self.pair.tick()

    @rule(ms=st.sampled_from([1, 20, 60, 400, 1000, 3000, 60_000, -5_000]))
    def time_goes_by(self, ms: int) -> None:
        self.pair.advance(ms)

    @rule(ticks=st.integers(2, 7))
    def silence(self, ticks: int) -> None:
        for _ in range(ticks):
            self.pair.advance(700)
            self.pair.tick()

    @rule(value=MAYBE_LIMIT, again=AGAIN)
    def pool_limit(self, value: str, again: bool) -> None:
        self.pair.pool(limit=value, again=again)

    @rule(value=st.sampled_from(["0", "0", "1"]), again=AGAIN)
    def pool_paused(self, value: str, again: bool) -> None:
        self.pair.pool(paused=value, again=again)

    @rule(
        name=st.sampled_from(QUEUES),
        change=st.one_of(
            st.tuples(st.just("limit"), MAYBE_LIMIT),
            st.tuples(st.just("paused"), st.sampled_from(["0", "1"])),
            st.tuples(st.just("priority"), st.sampled_from(["1", "2", "5"])),
        ),
        mode=st.sampled_from(["update", "update", "create"]),
        again=AGAIN,
    )
    def queue(self, name: str, change: tuple[str, str], mode: str, again: bool) -> None:
        self.pair.queue(mode, name, again=again, **{change[0]: change[1]})

    @rule(key=st.sampled_from(LIMITS), value=MAYBE_LIMIT, when_full=st.sampled_from(POLICIES), again=AGAIN)
    def key_limit(self, key: str, value: str, when_full: str, again: bool) -> None:
        self.pair.limit(key, value, when_full, again=again)

    @rule(name=st.sampled_from(QUEUES), cancel=st.booleans())
    def delete_queue(self, name: str, cancel: bool) -> None:
        self.pair.delete_queue(name, cancel=cancel)

    @invariant()
    def held_runs_have_one_worker(self) -> None:
        assert all(run.worker in self.model.workers or run.site for run in self.model.held())


@pytest.mark.fault(48)
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)
def test_engine_does_what_the_model_says(server: Server):
    client = redis.Redis(unix_socket_path=str(server.socket))
    machine = type("Machine", (SideBySide,), {"client": client})
    run_state_machine_as_test(machine, settings=SETTINGS)
    client.close()
