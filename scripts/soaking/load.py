"""What the soak publishes and under which limits: drawn from a seed, so that the same seed publishes the same runs."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dispatcher import Client

POOL, PROCESSES = "soak", "soak-processes"
POOL_LIMIT, PROCESS_LIMIT, WORKER_LIMIT, PROCESS_WORKER_LIMIT = 14, 3, 9, 4
CRASHES = 6
"""A run's crash budget: workers are killed all the time, and what is innocent should not end for it."""
QUEUES: dict[str, tuple[int, int | None]] = {"urgent": (1, None), "default": (2, 10), "bulk": (3, 6)}
"""Priority and limit. Those of `default` and `bulk` go up and down meanwhile, `urgent` has none."""
LIMITS = {"tenant:*": 2, "ledger:*": 1}
TENANTS, LEDGERS = 12, 4
RETENTION = 200.0
"""Seconds that finished runs are kept: an hour of them would fill the memory."""
SCHEDULE, EVERY = "pulse", 1.0
CHILD = "-c"
"""Between the id of a parent and the number of its child."""
_KINDS = {
    "nap": 52, "grind": 8, "flaky": 6, "late": 10, "slow": 2, "fails": 3, "poison": 0.12, "twice": 3, "intake": 8,
    "many": 4, "cancel": 3, "await": 2, "command": 3, "entrypoint": 2, "vanishes": 0.4,
    "gathers": 4, "gathers_beside": 0.7,
}  # fmt: skip
OF_PROCESSES = {"command", "entrypoint", "vanishes", "gathers_beside"}
_CHILDREN = {"nap": 10, "late": 2, "flaky": 1, "fails": 1, "gathers": 1}
_DEEPEST = 2


@dataclass(frozen=True)
class Ask:
    """One thing a publisher is to do. `runs` are its runs: id, function or entrypoint, parameters, options."""

    kind: str
    runs: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    back: int = 0
    """Of cancel and await: how many runs ago the run was published that it means."""


def _scopes(rng: random.Random) -> dict[str, Any]:
    queue = rng.choices(list(QUEUES), [2, 5, 3])[0]
    keys = []
    if rng.random() < 0.25:
        keys.append(f"ledger:{rng.randrange(LEDGERS)}")
    if rng.random() < 0.4:
        keys.append(f"tenant:{rng.randrange(TENANTS)}")
    return {"queue": queue, "keys": keys}


def _seconds(rng: random.Random) -> float:
    """Mostly short; a few go on for as long as a lease, so that killed workers hold something."""
    return round(rng.uniform(1.0, 4.0) if rng.random() < 0.02 else rng.expovariate(20), 3)


class Load:
    """Draws what one publisher asks for, one incarnation of it: the third part of a run's id counts incarnations."""

    def __init__(self, seed: int, publisher: int, incarnation: int) -> None:
        self._rng = random.Random(f"{seed}/publisher/{publisher}/{incarnation}")
        self._stem = f"soak-{publisher}-{incarnation:03}-"
        self._count = 0

    def __iter__(self) -> Iterator[Ask]:
        return self

    def __next__(self) -> Ask:
        rng = self._rng
        kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        if kind in {"cancel", "await"}:
            return Ask(kind, back=1 + int(rng.expovariate(0.15)))
        if kind in OF_PROCESSES:
            return Ask(kind, [self._process(kind)])
        if kind == "many":
            return Ask(kind, [self._function("nap") for _ in range(rng.randint(2, 12))])
        if kind == "twice":
            first, second = self._function("nap"), self._function("nap")
            for run in (first, second):
                run[3]["idempotency_key"] = first[0]
            return Ask(kind, [first, second])
        return Ask(kind, [self._function(kind)])

    def _id(self) -> str:
        self._count += 1
        return f"{self._stem}{self._count:07}"

    def _function(self, kind: str, run_id: str = "") -> tuple[str, str, dict[str, Any], dict[str, Any]]:
        rng, options, parameters = self._rng, _scopes(self._rng), {"seconds": _seconds(self._rng)}
        function = "nap"
        if kind == "grind":
            function = "grind"
        elif kind == "flaky":
            function, parameters["fails"] = "flaky", rng.randint(1, 2)
            options["retry"] = {"retries": 3, "delay": rng.choice([0.0, 0.2]), "jitter": 0.0}
        elif kind == "late":
            options["delay"] = round(rng.uniform(0.05, 4.0), 3)
        elif kind == "slow":
            parameters["seconds"], options["timeout"] = 20.0, 0.3
        elif kind == "fails":
            function = "fails"
        elif kind == "poison":
            function, parameters["how"] = "poison", rng.choice(["exit", "kill", "segfault"])
        run_id = run_id or self._id()
        if kind == "gathers":
            function, parameters = "gathers", {"children": self._children(run_id)}
        return run_id, function, parameters, options

    def _children(self, parent: str) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        """Some of which have children of their own. A child's id is its parent's and a number."""
        kinds = dict(_CHILDREN)
        if parent.count(CHILD) >= _DEEPEST - 1:
            del kinds["gathers"]
        drawn = self._rng.choices(list(kinds), list(kinds.values()), k=self._rng.randint(1, 4))
        return [self._function(kind, f"{parent}{CHILD}{number}") for number, kind in enumerate(drawn)]

    def _process(self, kind: str) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
        run_id, parameters = self._id(), {"seconds": _seconds(self._rng)}
        if kind == "vanishes":
            parameters["how"] = self._rng.choice(["exit", "kill", "segfault"])
        elif kind == "gathers_beside":
            parameters = {"children": self._children(run_id), "pool": POOL}
        return run_id, kind, parameters, {"queue": "default", "keys": []}


async def prepare(client: Client) -> None:
    """Make pools, queues, limits and the schedule."""
    kept = round(RETENTION * 1000)
    await client.pools.create(POOL, limit=POOL_LIMIT)
    await client.pools.create(PROCESSES, type="process", limit=PROCESS_LIMIT)
    for pool in (POOL, PROCESSES):
        await client.pools.update(pool, retention_ms=kept, crashes=CRASHES)
    for name, (priority, limit) in QUEUES.items():
        change = client.queues.update if name == "default" else client.queues.create  # `default` comes with its pool
        await change(name, priority=priority, limit=limit, pool=POOL)
    for key, limit in LIMITS.items():
        await client.limits.set(key, limit, pool=POOL)
    schedules = [{"id": "second", "interval": f"{EVERY:g}s", "misfire": "all"}]
    await client.deploy(SCHEDULE, pool=POOL, function="nap", parameters={"seconds": 0.02}, schedules=schedules)
