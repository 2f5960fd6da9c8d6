"""A million admissions on the real Lua, replayed from the event stream against every limit (I1).

The replay knows nothing of the engine but its events: it counts holders of each scope, in their order, and the limits
as they were set. `SLUICE_MODEL_ADMISSIONS` makes it shorter or longer; `scripts/soak --admissions N` sets it.
"""

import os
import random
from collections import defaultdict
from itertools import count

import pytest
import redis

from dispatcher.scripts import load

TARGET = int(os.environ.get("SLUICE_MODEL_ADMISSIONS", "1000000"))
ROOT = "sluice:{million}"
NOW = 4_000_000_000_000  # far ahead of every stream entry, so that finished runs may be forgotten at once
PLAIN, KEYED, KEYS, WORKERS, CAPACITY = 12, 4, 25, 16, 64
BUCKETS = [f"q{queue:02}|" for queue in range(PLAIN)]
BUCKETS += [f"q{queue:02}||t:{key:02}" for queue in range(PLAIN, PLAIN + KEYED) for key in range(KEYS)]


class Replay:
    """Holders per scope, counted from events alone. A run's id starts with the number of its bucket."""

    def __init__(self, client: "redis.Redis") -> None:
        self.client = client
        self.limits: dict[str, float] = defaultdict(lambda: float("inf"))
        self.scopes = [[f"queue {name.split('|')[0]}", *name.split("|")[2:], "pool"] for name in BUCKETS]
        self.held: dict[str, int] = defaultdict(int)
        self.highest: dict[str, int] = defaultdict(int)
        self.holder: dict[str, str] = {}
        self.violations: list[str] = []
        self.admitted = 0
        self.position = "0"

    def read(self) -> None:
        """Take up what was told since the last time."""
        for entry, fields in self.client.xrange(f"{ROOT}:events", min=f"({self.position}"):
            self.position = entry.decode()
            for line in fields[b"e"].decode().split("\n"):
                kind, head, *words = line.split(" ")
                if kind == "admitted":
                    self.admit(head, words)
                elif kind in {"finished", "requeued", "retried", "scheduled"}:
                    self.free(words)
                elif kind == "limit":
                    self.limits[head] = float(words[0])
                elif kind == "queue" and words[0] == "limit":
                    self.limits[f"queue {head}"] = float(words[1])
                elif kind == "pool" and head == "limit":
                    self.limits["pool"] = float(words[0])

    def admit(self, worker: str, ids: list[str]) -> None:
        held, limits, highest = self.held, self.limits, self.highest
        self.admitted += len(ids)
        for run_id in ids:
            if run_id in self.holder:
                self.violations.append(f"{run_id} admitted while held by {self.holder[run_id]}")
            self.holder[run_id] = worker
            for scope in (*self.scopes[int(run_id[:3])], worker):
                now = held[scope] = held[scope] + 1
                highest[scope] = max(highest[scope], now)
                if now > limits[scope]:
                    self.violations.append(f"{run_id} is number {now} of {scope}, limit {limits[scope]}")

    def free(self, ids: list[str]) -> None:
        for run_id in ids:
            worker = self.holder.pop(run_id, None)
            if worker:
                for scope in (*self.scopes[int(run_id[:3])], worker):
                    self.held[scope] -= 1


class Driver:
    """Publishes, turns and changes limits; a worker ends whatever it was given with its next turn."""

    def __init__(self, client: "redis.Redis", replay: Replay) -> None:
        self.client, self.replay = client, replay
        self.random = random.Random(1)
        self.numbers = count()
        self.seen = [0] * WORKERS
        self.waiting = self.published = self.ended = 0
        client.set(f"{ROOT}:test-clock", 1)
        self.call("pool", "create", "function", "limit", 400, "retention_ms", 0)
        for queue in range(PLAIN + KEYED):
            limit = 30 + 10 * queue
            self.call("queue", "create", f"q{queue:02}", "priority", 1 + queue % (PLAIN + 1), "limit", limit)
        self.call("limit", "t:*", 2, "wait")
        for key in range(KEYS):
            replay.limits[f"t:{key:02}"] = 2
        for worker in range(WORKERS):
            names = "" if worker % 2 else f"q{worker % PLAIN:02},q1*"
            replay.limits[f"w{worker}"] = CAPACITY
            self.call("join", f"w{worker}", f"{names}||", CAPACITY, 10**9, "function", 1, "", 0, "")

    def call(self, name: str, *args: str | int) -> list:
        script = load(name)
        return script.run_blocking(self.client, ROOT, NOW, *args)

    def publish(self, runs: int) -> None:
        args: list[str] = []
        keyed = self.random.random() < 0.08
        bucket = self.random.randrange(PLAIN, len(BUCKETS)) if keyed else self.random.randrange(PLAIN)
        for _ in range(8 if keyed else runs):
            args += [f"{bucket:03}.{next(self.numbers):x}", BUCKETS[bucket], "", "spec"]
        self.published += len(args) // 4
        self.call("publish", *args)

    def turn(self, worker: int, ends: list[str]) -> list[str]:
        """One turn; returns the ends of what it got, for the next one."""
        reply = self.call("turn", f"w{worker}", self.seen[worker], 1, *ends)
        assert reply[4] == [], reply[4]
        self.seen[worker] = reply[3]
        following: list[str] = []
        for words in reply[6][::2]:
            _, token, _, _, run_id = words.decode().split(":")
            odd = self.random.random()
            outcome = "retry" if odd < 0.01 else "return" if odd < 0.02 else "completed"
            self.ended += outcome == "completed"
            following += [run_id, token, outcome, "0", ""]
        return following

    def change_a_limit(self) -> None:
        queue, limit = self.random.randrange(PLAIN + KEYED), self.random.choice([5, 20, 60, 200])
        self.call("queue", "update", f"q{queue:02}", "limit", limit)
        key, limit = f"t:{self.random.randrange(KEYS):02}", self.random.randint(1, 4)
        self.call("limit", key, limit, "wait")
        self.call("pool", "update", "", "limit", self.random.choice([100, 300, 600]))


@pytest.mark.slow
@pytest.mark.timeout(600 + TARGET // 1_000)
def test_a_million_admissions_stay_within_every_limit(client: "redis.Redis"):
    replay = Replay(client)
    driver = Driver(client, replay)
    ends: list[list[str]] = [[] for _ in range(WORKERS)]
    for step in count():
        while driver.published - replay.admitted < 4_000:
            driver.publish(64)
        worker = step % WORKERS
        ends[worker] = driver.turn(worker, ends[worker])
        if step % 64 == 0:
            driver.change_a_limit()
        if step % 16 == 0:
            replay.read()
            driver.call("retain", 2_000)
            if replay.admitted >= TARGET:
                break
    assert replay.violations == []
    assert client.zcard(f"{ROOT}:slots") == len(replay.holder) == replay.held["pool"]
    assert replay.highest["pool"] > 300
    assert min(replay.highest[f"t:{key:02}"] for key in range(KEYS)) >= 2
