"""Faults that the model found in the engine, each as the shortest history that showed it."""

import msgpack
import redis

from dispatcher.scripts import load

from .pair import Pair


def test_cancelling_a_held_run_leaves_a_younger_one_with_its_entry_id_alone(new_pair, client: "redis.Redis"):
    """The stream of a bucket goes when it is empty, so the ids of two runs of one millisecond can be the same."""
    pair: Pair = new_pair()
    worker = pair.join("||", 1, 60_000, auto=True, queues=[], again=False)
    pair.turn(worker, 0, offer=True)
    publish, root = load("publish"), pair.engine.root
    client.script_load(publish.text)
    with client.pipeline(transaction=True) as both:  # one transaction sees one time
        for run_id in ("held", "young"):
            both.evalsha(publish.sha, 1, root, pair.now, run_id, "default|", "", "spec")
        both.execute()
    records = pair.engine.dump().records
    assert records["held"].entry == records["young"].entry
    assert pair.engine.call("cancel", "asked", 0, "held").reply == [0, "cancelling"]
    assert pair.engine.dump().ordered("default|") == ["young"]


def test_the_last_worker_of_a_lane_takes_its_ready_set_along(new_pair):
    """What it hands back is served to others in the same call; their class must not return to the dead lane."""
    pair: Pair = new_pair()
    leaver = pair.join("|gpu|", 8, 60_000, auto=True, queues=[], again=False)
    pair.publish([("default", [], [])] * 3 + [("default", ["gpu"], [])] * 3)
    pair.turn(leaver, 0, offer=True)
    other = pair.join("|gpu,zone=a|", 3, 60_000, auto=True, queues=[], again=False)
    pair.turn(other, 0, offer=True)
    pair.leave(leaver)
    assert len(pair.model.held_by(other)) == 3
    pair.join("|gpu|", 8, 60_000, auto=True, queues=[], again=False)


def test_an_order_to_cancel_goes_with_the_run_that_a_heartbeat_misses(new_pair):
    pair: Pair = new_pair()
    worker = pair.join("||", 1, 60_000, auto=True, queues=[], again=False)
    pair.publish([("default", [], [])])
    pair.turn(worker, 0, offer=True)
    pair.cancel(["r000000"])
    pair.heartbeat(worker, 1, [])
    pair.heartbeat(worker, 1, [])
    assert pair.engine.dump().rows("orders") == {}


def test_an_end_told_by_another_worker_is_stale_whatever_its_token(new_pair):
    pair: Pair = new_pair()
    holder, other = (pair.join("||", 1, 60_000, auto=True, queues=[], again=False) for _ in range(2))
    pair.publish([("default", [], [])])
    pair.turn(holder, 0, offer=True)
    (run,) = pair.model.held_by(holder)
    end = (run.id, run.token, "completed", "", "")
    assert pair.turn(other, 0, offer=False, ends=[end])[4] == [run.id, "stale"]
    pair.turn(holder, 1, offer=False, ends=[end])
    assert pair.turn(other, 0, offer=False, ends=[end])[4] == [run.id, "stale"]
    assert pair.turn(holder, 1, offer=False, ends=[end])[4] == [run.id, "already"]


def test_an_id_whose_worker_was_lost_does_not_join_again(new_pair):
    """A tick takes back 64 runs: the other 16 are this worker's still."""
    pair: Pair = new_pair()
    worker = pair.join("||", 80, 2000, auto=True, queues=[], again=False)
    pair.publish([("default", [], [])] * 80)
    for _ in range(3):
        pair.turn(worker, 0, offer=True)
    taken = 0
    while not taken:
        pair.engine.now += 400
        taken = pair.engine.call("tick").reply[3]
    assert taken == 64
    assert pair.engine.call("join", worker, "||", 80, 2000, "function", 1, "", 0, "").reply == ["gone", pair.now]


def test_a_claim_that_was_handed_back_has_no_children(new_pair):
    """Its run keeps the token of that claim until it is admitted again; who published in its name was believed."""
    pair: Pair = new_pair()
    worker = pair.join("||", 1, 60_000, auto=True, queues=[], again=False)
    pair.publish([("default", [], [])])
    pair.turn(worker, 0, offer=True)
    token = pair.model.runs["r000000"].token
    pair.turn(worker, 1, offer=False, ends=[("r000000", token, "return", "", "")])
    extra = msgpack.packb([0, 0, "", 0, "", "r000000", str(token)])
    assert pair.engine.call("publish", "child", "default|", extra, "spec").reply == ["ok", pair.now, 0, 0, "fenced"]
