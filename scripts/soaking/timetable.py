"""What goes wrong, and when: drawn from the seed alone, so that the same seed hurts in the same order."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

MEMBERS = {
    "worker": ("worker-0", "worker-1", "worker-2"),
    "dispatcher": ("dispatcher-0", "dispatcher-1"),
    "scheduler": ("scheduler-0", "scheduler-1"),
    "publisher": ("publisher-0", "publisher-1"),
}
"""worker-2 is the one of the type process."""
EVERYBODY = tuple(name for names in MEMBERS.values() for name in names)
_WEIGHTS = {"worker": 5, "dispatcher": 2, "scheduler": 2, "publisher": 1}

GROUPS: dict[str, Mapping[str, int]] = {
    "processes": {"kill": 5, "freeze": 2, "freeze-long": 2, "stop": 2},
    "redis": {"redis-kill": 1, "script-flush": 2, "client-kill": 2, "debug-sleep": 1, "memory": 1},
    "network": {"delay": 1, "black-hole": 2, "reset": 1, "one-way": 2, "narrow": 1},
    "changes": {"limit": 3, "pause": 1},
    "sentinels": {"cut-kill": 1, "replica-kill": 1, "sentinel-kill": 1},
}
"""How often each kind comes in a round. A round is shuffled, so that every kind comes before one comes too often."""
NOT_OF = {"one": {"cut-kill", "replica-kill", "sentinel-kill"}, "sentinel": {"debug-sleep", "memory"}}
"""What a topology cannot have done to it. A master that sleeps is replaced, and goes on beside the other one when it
wakes: what it acknowledges then is promised to nobody but to replicated publishes, and nothing could be judged."""
KINDS = tuple(kind for group in GROUPS.values() for kind in group)
_SECONDS = {
    "freeze": (0.03, 0.6), "freeze-long": (1.2, 2.0), "redis-kill": (0.03, 2.0), "debug-sleep": (0.03, 0.5),
    "memory": (0.2, 0.8), "delay": (0.1, 0.9), "black-hole": (0.1, 1.8), "one-way": (0.1, 0.9), "narrow": (0.1, 0.9),
    "pause": (0.1, 0.7), "cut-kill": (0.03, 0.4), "replica-kill": (0.03, 1.0), "sentinel-kill": (0.3, 3.0),
}  # fmt: skip
"""How long each lasts, in leases, from and to."""
QUIET = 2.0
"""Seconds at the beginning without a fault, for a measure of what is well."""


@dataclass(frozen=True)
class Planned:
    """One thing to be done: `at` s after the beginning, to a member (or everybody, or a setting), for so many s."""

    at: float
    kind: str
    target: str
    seconds: float = 0.0
    value: int = 0

    def __str__(self) -> str:
        rest = f" for {self.seconds:.2f} s" if self.seconds else f" to {self.value}" if self.kind == "limit" else ""
        return f"{self.at:7.2f} s  {self.kind} {self.target}{rest}"


def read_mix(text: str, topology: str = "one") -> dict[str, int]:
    """`all`, names of groups and kinds, `kind=weight`, by commas. Raises ValueError naming what there is.

    What the topology cannot have is left out of groups, and refused by its own name.
    """
    mix: dict[str, int] = {}
    for word in text.split(","):
        name, _, weight = word.strip().partition("=")
        if name == "all":
            found = {kind: weights[kind] for weights in GROUPS.values() for kind in weights}
        elif name in GROUPS:
            found = dict(GROUPS[name])
        elif name in NOT_OF[topology]:
            raise ValueError(f"{name!r} is no fault of --topology {topology}")
        elif name in KINDS:
            found = {name: 1}
        elif name == "none":
            found = {}
        else:
            raise ValueError(f"{name!r} is no fault: all, none, {', '.join(GROUPS)}, {', '.join(KINDS)}")
        if weight and not weight.isdigit():
            raise ValueError(f"{word!r}: a weight is a whole number")
        mix |= {kind: int(weight) * often if weight else often for kind, often in found.items()}
    return {kind: often for kind, often in mix.items() if kind not in NOT_OF[topology]}


def draw(seed: int, duration: float, mix: Mapping[str, int], lease: float) -> list[Planned]:
    """The timetable of a soak, in order. A server that was killed is left alone for some seconds."""
    rng = random.Random(f"{seed}/faults")
    plan: list[Planned] = []
    round_: list[str] = []
    at = QUIET
    while mix and (at := at + rng.expovariate(1 / 0.9)) < duration - lease:
        if not round_:
            round_ = [kind for kind, often in sorted(mix.items()) for _ in range(often)]
            rng.shuffle(round_)
        planned = _plan(rng, at, round_.pop(), lease)
        plan.append(planned)
        if planned.kind in {"redis-kill", "memory", "debug-sleep", "cut-kill", "replica-kill"}:
            at += planned.seconds + lease / 2
    return plan


def _plan(rng: random.Random, at: float, kind: str, lease: float) -> Planned:
    role = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    member, everybody, share = rng.choice(MEMBERS[role]), rng.random() < 0.2, rng.random()
    if kind == "limit":
        scope = rng.choice(["pool", "queue default", "queue bulk", "key tenant:*", "key ledger:*"])
        return Planned(at, kind, scope, value=rng.randint(1, 4) if scope.startswith("key") else rng.randint(3, 14))
    if kind == "pause":
        member = rng.choice(["pool", "queue default", "queue bulk", "queue urgent"])
    elif kind in GROUPS["redis"] or kind in GROUPS["sentinels"]:
        member = "redis"
    elif kind in GROUPS["network"] and everybody:
        member = "everybody"
    least, most = _SECONDS.get(kind, (0.0, 0.0))
    long = 0.8 if member == "everybody" else 1.0  # shorter than a lease, or nothing is left to be seen
    return Planned(at, kind, member, (least + share * (most * long - least)) * lease)
