"""Random histories: a driver that calls whatever a pool may be asked for, from a seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from .pair import Pair

QUEUES = ["default", "alpha", "beta", "best"]
LABELS: list[list[str]] = [[], [], ["gpu"], ["gpu", "zone=a"]]
LANES = ["||", "alpha||", "be*||", "|gpu|", "|gpu,zone=a|", "|gpu|only", "alpha,beta|zone=a,gpu|", "default,b*|gpu|"]
LANES += ["|~ahead|", "alpha|gpu,~ahead|", "|gpu,~ahead|only"]
KEYS = ["t:1", "t:2", "t:3", "u:1", "u:2", "v:1"]
LIMITS = ["t:*", "u:*", "v:1", "t:1", "t:2", "u:1"]


@dataclass
class Shape:
    """How a history is made; `weights` by name of the step, 0 leaves it out."""

    queues: list[str]
    keys: list[str]
    labels: list[list[str]] = field(default_factory=lambda: LABELS)
    most_keys: int = 3
    batch: int = 6
    capacity: int = 4
    limits: tuple[str, ...] = ("", "", "0", "1", "1", "2", "3", "4")
    again: float = 0.15
    auto: float = 0.8  # share of its workers whose runs are running as they are admitted
    sites: tuple[str, ...] = ("", "", "here", "there")
    shares: tuple[float, ...] = (0.0, 0.5, 1.0, 1.0)  # of its runs that a turn ends
    later: int = 1  # how many of nine publishes are for later
    weights: tuple[tuple[str, int], ...] = (
        ("publish", 12), ("turn", 36), ("join", 5), ("heartbeat", 4), ("leave", 1), ("drain", 1), ("cancel", 5),
        ("promote", 4), ("tick", 4), ("pool", 2), ("queue", 5), ("limit", 6), ("delete_queue", 1), ("start", 2),
        ("time", 8), ("silence", 1), ("stale", 3), ("suspend", 4), ("resume", 6), ("stuck", 1),
    )  # fmt: skip


SMALL = Shape(QUEUES, KEYS)
WIDE = Shape(
    [f"{name}{i}" for name in ("alpha", "beta", "default") for i in range(5)], ["t:1", "t:2", "t:3"],
    labels=[[], ["gpu"], ["zone=a"], ["gpu", "zone=a"]], most_keys=1, batch=60, again=0.0,
    limits=("", "1", "2", "8"),
)  # fmt: skip
PARKED = Shape(
    QUEUES[:2], KEYS, labels=[[]], batch=8, again=0.0, limits=("", "1", "1", "2"), shares=(0.5, 1.0),
    weights=(("publish", 10), ("turn", 40), ("join", 3), ("cancel", 6), ("queue", 5), ("limit", 8), ("time", 2)),
)  # fmt: skip
CARE = Shape(
    QUEUES, KEYS[:2], labels=[[], ["gpu"]], most_keys=1, limits=("", "2", "3"),
    weights=(
        ("publish", 10), ("turn", 24), ("join", 5), ("heartbeat", 16), ("cancel", 10), ("pool", 8), ("start", 4),
        ("tick", 2), ("time", 3), ("silence", 1), ("stale", 2), ("suspend", 8), ("resume", 8), ("stuck", 2),
    ),
)  # fmt: skip
CHURN = Shape(
    QUEUES[:2], KEYS, most_keys=0, batch=6, capacity=8, limits=("", ""), again=0.0, shares=(0.0, 0.0, 1.0),
    weights=(("publish", 8), ("turn", 30), ("join", 10), ("leave", 6), ("tick", 2), ("time", 2), ("silence", 1)),
)  # fmt: skip
WAITING = Shape(
    QUEUES[:2], KEYS[:1], labels=[[]], most_keys=1, capacity=8, limits=("", "3"), again=0.0, shares=(0.0, 0.3),
    weights=(("publish", 10), ("turn", 20), ("join", 2), ("suspend", 16), ("resume", 20), ("pool", 3), ("time", 2)),
)  # fmt: skip
EARLY = Shape(
    QUEUES[:2], KEYS[:2], labels=[[], ["gpu"]], most_keys=1, capacity=6, limits=("", "2"), shares=(0.0, 0.5), later=4,
    weights=(
        ("publish", 14), ("turn", 24), ("join", 8), ("promote", 20), ("cancel", 3), ("leave", 2), ("limit", 3),
        ("queue", 3), ("tick", 2), ("time", 14), ("silence", 1), ("start", 2), ("delete_queue", 1),
    ),
)  # fmt: skip

ORPHANS = Shape(
    QUEUES[:2], KEYS[:2], labels=[[], ["gpu"]], most_keys=1, capacity=3, limits=("", "2"), shares=(0.0, 0.0, 0.5),
    auto=0.1, sites=("here", "here", "there", ""),
    weights=(
        ("publish", 12), ("turn", 30), ("join", 8), ("start", 16), ("leave", 6), ("tick", 10), ("cancel", 5),
        ("silence", 6), ("time", 10), ("drain", 1), ("suspend", 5), ("resume", 2), ("heartbeat", 4),
        ("delete_queue", 1), ("stale", 5),
    ),
)  # fmt: skip


class History:
    """Steps of one seed against a pair."""

    def __init__(self, pair: Pair, seed: int, shape: Shape = SMALL) -> None:
        self.pair = pair
        self.shape = shape
        self.random = random.Random(seed)
        self.names = [name for name, _ in shape.weights]
        self.odds = [weight for _, weight in shape.weights]
        self.gone: list[str] = []
        self.seen: dict[str, int] = {}
        pair.limit("t:*", "2")
        pair.limit("u:1", "1")
        for _ in range(3):
            self.join()

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
        self.pair.check_all()

    def step(self) -> None:
        name = self.random.choices(self.names, self.odds)[0]
        action: Callable[[], None] = getattr(self, name)
        action()

    def _again(self) -> bool:
        return self.random.random() < self.shape.again

    def _worker(self) -> str:
        names = [*self.pair.model.workers, *self.gone[-1:]]
        return self.random.choice(names or ["w9999"])

    def _bucket(self) -> tuple[str, list[str], list[str]]:
        r = self.random
        keys = r.sample(self.shape.keys, r.choice(range(self.shape.most_keys + 1)))
        return r.choice(self.shape.queues), r.choice(self.shape.labels), keys

    def publish(self) -> None:
        r, model = self.random, self.pair.model
        old = r.sample(sorted(model.runs), 1) if model.runs and r.random() < 0.1 else []
        self.pair.publish(
            [self._bucket() for _ in range(r.randint(1, self.shape.batch))],
            delay=r.choice([0] * (9 - self.shape.later) + [50, 700] * self.shape.later),
            deadline=r.choice([0] * 12 + [100, 900]),
            key=r.choice(["", "", "", "i1", f"i{model.admissions}"]),
            cache=r.choice(["", "", "", "c1", f"c{model.admissions // 8}"]),
            old=old,
            again=self._again(),
        )

    def join(self) -> None:
        r = self.random
        if len(self.pair.model.workers) >= 8:
            return
        lane = r.choice(LANES)
        queues = [name for name in lane.split("|")[0].split(",") if name and "*" not in name]
        self.pair.join(
            lane, r.randint(1, self.shape.capacity), r.choice([3000, 5000]), queues=queues, again=self._again(),
            auto=r.random() < self.shape.auto, site=r.choice(self.shape.sites),
        )  # fmt: skip

    def _ends(self, name: str, share: float) -> list[tuple[str, int, str, str, str]]:
        r = self.random
        ends = []
        for run in self.pair.model.held_by(name):
            if r.random() < share:
                outcome = r.choice(
                    ["completed", "completed", "completed", "failed", "retry", "retry", "return", "cancelled", "lost"]
                )
                argument = r.choice(["0", "0", "40", "600"]) if outcome == "retry" else r.choice(["", "retries_spent"])
                ends.append((run.id, run.token, outcome, argument, "x"))
        return ends

    def turn(self) -> None:
        r = self.random
        name = self._worker()
        worker = self.pair.model.workers.get(name)
        seen = self.seen.get(name, 0)
        ends = self._ends(name, r.choice(self.shape.shares))
        self.pair.turn(name, seen, offer=r.random() < 0.9, ends=ends, again=self._again())
        if worker and r.random() < 0.8:
            self.seen[name] = worker.number

    def stale(self) -> None:
        """Ends with a token that is not theirs, of another worker, or of a run that is not there."""
        r, model = self.random, self.pair.model
        name = self._worker()
        runs = [run for run in model.runs.values() if run.token][-40:]
        ends = [("r999999", 1, "completed", "", "")]
        for run in r.sample(runs, min(len(runs), 3)):
            if run.worker != name:
                ends.append((run.id, run.token, "completed", "", ""))
            ends.append((run.id, run.token + r.choice([-1, 1]), "completed", "", ""))
        self.pair.turn(name, self.seen.get(name, 0), offer=r.random() < 0.5, ends=ends)

    def heartbeat(self) -> None:
        r, model = self.random, self.pair.model
        name = self._worker()
        worker = model.workers.get(name)
        seen = r.choice([worker.number, worker.number, worker.number // 2]) if worker else 0
        held = [run.id for run in model.held_by(name) if run.number <= seen]
        held = [run_id for run_id in held if r.random() < r.choice([1.0, 0.6])]
        self.pair.heartbeat(name, seen, [*held, *r.choice([[], [], ["r999999"]])], again=self._again())
        if r.random() < 0.3:
            self.pair.heartbeat(name, seen, held)

    def start(self) -> None:
        r, model = self.random, self.pair.model
        name = self._worker()
        claims = [(run.id, run.token + r.choice([0, 0, 0, 1])) for run in model.held_by(name)]
        others = [(run.id, run.token) for run in model.held() if run.worker != name]
        self.pair.start(name, claims + others[:1], again=self._again())

    def _claim(self, *, suspended: bool) -> tuple[str, str, int]:
        runs = [run for run in self.pair.model.held() if run.suspended == suspended]
        if not runs or self.random.random() < 0.1:
            return self._worker(), "r999999", 1
        run = self.random.choice(runs)
        name = run.worker if self.random.random() < 0.95 else self._worker()
        return name, run.id, run.token + self.random.choice([0] * 20 + [1])

    def suspend(self) -> None:
        self.pair.suspend(*self._claim(suspended=self.random.random() < 0.1), again=self._again())

    def resume(self) -> None:
        self.pair.resume(*self._claim(suspended=self.random.random() < 0.9), again=self._again())

    def stuck(self) -> None:
        verdict = self.random.choice([("cancelled", "asked"), ("failed", "timed_out"), ("retry", "40"), ("return", "")])
        self.pair.stuck(*self._claim(suspended=False), verdict, again=self._again())

    def leave(self) -> None:
        name = self._worker()
        self.pair.leave(name, again=self._again())
        self.gone.append(name)

    def drain(self) -> None:
        self.pair.drain(self._worker(), again=self._again())

    def cancel(self) -> None:
        runs = self.pair.model.runs.values()
        ids = [run.id for run in runs if run.state not in {"completed", "cancelled"}] or ["r999999"]
        ids = [run.id for run in self.pair.model.held()] if self.random.random() < 0.4 else ids[-30:]
        ids = ids or ["r999999"]
        self.pair.cancel(self.random.sample(ids, min(len(ids), self.random.randint(1, 3))), again=self._again())

    def promote(self) -> None:
        self.pair.promote(self.random.choice([1, 64]), again=self._again())

    def tick(self) -> None:
        self.pair.tick()

    def silence(self) -> None:
        """Ticks go on while a worker says nothing until its lease is over."""
        for _ in range(self.random.randint(1, 8)):
            self.pair.advance(1000)
            self.pair.tick()

    def time(self) -> None:
        self.pair.advance(self.random.choice([1, 1, 1, 30, 30, 200, 200, 200, 600, 900, 900, 4000, 30_000, -6000]))

    def pool(self) -> None:
        field, value = self.random.choice(
            [("limit", ""), ("limit", ""), ("limit", "2"), ("limit", "6"), ("paused", "0"), ("paused", "1")]
        )
        self.pair.pool(again=self._again(), **{field: value})
        if value == "1":
            for _ in range(4):
                self.step()
            self.pair.pool(paused="0")

    def queue(self) -> None:
        r = self.random
        kind = r.choice(["limit", "limit", "paused", "priority"])
        value = r.choice(
            {"limit": self.shape.limits, "paused": ("0", "1"), "priority": ("1", "2", "3", "7", "9")}[kind]
        )
        mode = r.choice(["update", "update", "update", "create"])
        self.pair.queue(mode, r.choice(self.shape.queues), again=self._again(), **{kind: value})

    def limit(self) -> None:
        r = self.random
        when_full = r.choice(["wait"] * 5 + ["skip", "replace", "wait_one"])
        self.pair.limit(r.choice(LIMITS), r.choice(self.shape.limits), when_full, again=self._again())

    def delete_queue(self) -> None:
        self.pair.delete_queue(self.random.choice(self.shape.queues), cancel=self.random.random() < 0.3)
