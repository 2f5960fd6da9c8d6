"""I2 and I5 by brute force over random histories, sweeps and `more`, and the order between equals."""

from collections import Counter

import pytest

from tests.support.servers import EVERY_KIND

from .history import CARE, CHURN, EARLY, ORPHANS, PARKED, SMALL, WIDE, History, Shape
from .pair import Pair


def drain_leftovers(pair: Pair, worker: str) -> int:
    """Repeat turns while a call is owed; how many it took."""
    calls = 0
    while pair.model.leftover or pair.model.sweeping:
        pair.turn(worker, pair.model.workers[worker].number, offer=True)
        calls += 1
        assert calls < 100
    return calls


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("shape", "seeds", "steps"),
    [
        (SMALL, 40, 150),
        (PARKED, 30, 150),
        (CARE, 15, 150),
        (CHURN, 15, 150),
        (EARLY, 30, 150),
        (ORPHANS, 30, 150),
        (WIDE, 8, 120),
    ],
)
def test_random_histories(new_pair, shape: Shape, seeds: int, steps: int):
    for seed in range(seeds):
        pair = new_pair()
        try:
            History(pair, seed, shape).run(steps)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, step {pair.steps}") from error


@pytest.mark.parametrize("server", EVERY_KIND, indirect=True)
def test_a_pattern_raised_over_more_keys_than_one_sweep_takes(new_pair):
    pair = new_pair()
    pair.limit("k:*", "0")
    worker = pair.join("||", 400, 60_000, auto=True, queues=[], again=False)
    for start in range(0, 300, 60):
        pair.publish([("default", [], [f"k:{i:03}"]) for i in range(start, start + 60)])
    pair.turn(worker, 0, offer=True)
    assert drain_leftovers(pair, worker) > 5  # 32 buckets are looked at in a call
    assert len(pair.engine.dump().one("parked", [])) == 300
    pair.limit("k:*", "1")
    assert pair.model.sweeping
    drain_leftovers(pair, worker)
    assert len(list(pair.model.held())) == 300


def test_a_key_that_more_classes_wait_for_than_one_call_wakes(new_pair):
    pair = new_pair()
    labels = [[f"l{i}"] for i in range(40)]
    lane = "|" + ",".join(sorted(label for group in labels for label in group)) + "|"
    worker = pair.join(lane, 100, 60_000, auto=True, queues=[], again=False)
    pair.limit("t:1", "0")
    pair.publish([("default", group, ["t:1"]) for group in labels])
    pair.turn(worker, 0, offer=True)
    drain_leftovers(pair, worker)
    assert len(pair.engine.dump().one("parked", [])) == 40
    pair.limit("t:1", "50")
    drain_leftovers(pair, worker)
    assert len(list(pair.model.held())) == 40


def test_a_queue_with_more_classes_than_one_call_readies(new_pair):
    pair = new_pair()
    labels = [f"l{i:02}" for i in range(70)]
    worker = pair.join(f"|{','.join(labels)}|", 200, 60_000, auto=True, queues=[], again=False)
    pair.publish([("default", [], []) for _ in range(3)])
    pair.queue("update", "default", paused="1")
    pair.publish([("default", [label], []) for label in labels])
    pair.turn(worker, 0, offer=True)
    drain_leftovers(pair, worker)
    pair.queue("update", "default", paused="0")
    drain_leftovers(pair, worker)
    assert len(list(pair.model.held())) == 73


def serve_one_by_one(pair: Pair, worker: str, runs: int) -> list[str]:
    """Let a worker of one slot take everything; the buckets in the order they were served."""
    served: list[str] = []
    ends: list[tuple[str, int, str, str, str]] = []
    for _ in range(runs):
        pair.turn(worker, pair.model.workers[worker].number, offer=True, ends=ends)
        (run,) = pair.model.held_by(worker)
        served.append(run.bucket.name)
        ends = [(run.id, run.token, "completed", "", "")]
    return served


def assert_round_robin(served: list[str]) -> None:
    everyone = set(served)
    for end in range(1, len(served) + 1):
        counts = Counter(served[:end])
        assert max(counts.values()) - min(counts[name] for name in everyone) <= 1, served[:end]


@pytest.mark.fault(42)
def test_buckets_of_a_class_take_turns(new_pair):
    pair = new_pair()
    worker = pair.join("||", 1, 60_000, auto=True, queues=[], again=False)
    for key in range(7):
        pair.publish([("default", [], [f"t:{key}"])] * 6)
    assert_round_robin(serve_one_by_one(pair, worker, 42))


@pytest.mark.fault(42)
def test_classes_of_equal_priority_take_turns(new_pair):
    pair = new_pair()
    worker = pair.join("|gpu|", 1, 60_000, auto=True, queues=[], again=False)
    for name in ("a", "b", "c"):
        pair.queue("create", name, priority="3")
        pair.publish([(name, [], [])] * 5 + [(name, ["gpu"], [])] * 5)
    assert_round_robin(serve_one_by_one(pair, worker, 30))


def test_a_class_of_many_buckets_takes_one_turn_like_any_other(new_pair):
    pair = new_pair()
    worker = pair.join("||", 1, 60_000, auto=True, queues=[], again=False)
    for name in ("many", "one"):
        pair.queue("create", name, priority="3")
    pair.publish([("many", [], [f"t:{key}"]) for key in range(10)])
    pair.publish([("one", [], [])] * 10)
    served = serve_one_by_one(pair, worker, 20)
    assert_round_robin([name.split("|")[0] for name in served])
