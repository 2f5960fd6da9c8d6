"""What came of it: a table of what was promised and what was seen."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dispatcher import Run

from .load import KEY, KEY_LIMIT, POOL, POOL_LIMIT, QUEUES, WORKER_LIMIT, Planned
from .witness import Attempt, Witness

TO_NOTICE = 2.0
TO_START = 8.0
"""Seconds after the lease: to notice and find room; and to start child processes, in which lost runs are executed."""


@dataclass(frozen=True)
class Facts:
    """All that the report needs. `killed`: pid of the dead worker, its end in monotonic ns; `killed_at`: in epoch s."""

    plans: list[Planned]
    runs: list[Run]
    witness: Witness
    killed: tuple[int, int]
    killed_at: float
    lease: float


@dataclass(frozen=True)
class Line:
    """One promise: what was seen, what is allowed, whether it holds."""

    what: str
    seen: str
    promised: str
    holds: bool


def _scopes(facts: Facts) -> list[Line]:
    by_number = {plan.number: plan for plan in facts.plans}

    def line(what: str, limit: int, counts: Callable[[Attempt], bool]) -> Line:
        most = facts.witness.most_at_once(facts.killed, counts)
        return Line(f"most at once, {what}", str(most), f"<= {limit}", 0 < most <= limit)

    lines = [line(f"pool {POOL}", POOL_LIMIT, lambda _: True)]
    for name, (_, limit) in QUEUES.items():
        lines.append(line(f"queue {name}", limit or POOL_LIMIT, lambda a, n=name: by_number[a.number].queue == n))
    lines.append(line(f"key {KEY}", KEY_LIMIT, lambda a: by_number[a.number].has_key))
    lines.append(line("killed worker", WORKER_LIMIT, lambda a: a.pid == facts.killed[0]))
    lines.append(line("other worker, with its children", WORKER_LIMIT, lambda a: a.pid != facts.killed[0]))
    return lines


def _counts(facts: Facts) -> list[Line]:
    ended = facts.witness.ended
    lost = sum(not ended[plan.number] for plan in facts.plans)
    doubled = sum(ended[plan.number] > 1 for plan in facts.plans)
    return [Line("lost", str(lost), "0", lost == 0), Line("ended twice", str(doubled), "0", doubled == 0)]


def _given(facts: Facts) -> tuple[float, float]:
    """Seconds from the kill until the first and the last of the dead worker's runs was given to another one."""
    times = [
        run.admitted_at.timestamp() - facts.killed_at
        for run in facts.runs
        if run.crashes and run.admitted_at is not None
    ]
    return (min(times), max(times)) if times else (0, 0)


def _recovery(facts: Facts, what: str, seconds: tuple[float, float], allowed: float) -> Line:
    first, last = seconds
    longest = facts.lease + allowed
    promised = f"<= {longest:g} s (lease {facts.lease:g} s)"
    return Line(what, f"{first:.2f} to {last:.2f} s", promised, 0 < last <= longest)


def lines(facts: Facts) -> list[Line]:
    """Every promise of the demonstration."""
    states = Counter(run.state.value for run in facts.runs)
    numbers = {plan.run_id: plan.number for plan in facts.plans}
    taken_back = {numbers[run.id] for run in facts.runs if run.crashes}
    first, last = facts.witness.recovery_ns(facts.killed, taken_back)
    overtaken = facts.witness.overtaken(facts.plans, taken_back)
    return [
        Line(
            "runs per state",
            ", ".join(f"{state} {count}" for state, count in states.items()),
            f"completed {len(facts.plans)}",
            states == {"completed": len(facts.plans)},
        ),
        *_scopes(facts),
        Line("overtaken by a lower priority", str(overtaken), "0", overtaken == 0),
        Line("taken back from the killed worker", str(len(taken_back)), "> 0", bool(taken_back)),
        _recovery(facts, "kill to the other worker", _given(facts), TO_NOTICE),
        _recovery(facts, "kill to their start there", (first / 1e9, last / 1e9), TO_START),
        *_counts(facts),
    ]


def table(found: list[Line]) -> str:
    """The promises as text."""
    widths = [max(len(getattr(line, name)) for line in found) for name in ("what", "seen", "promised")]
    rows = [
        f"  {line.what:<{widths[0]}}  {line.seen:<{widths[1]}}  {line.promised:<{widths[2]}}  "
        f"{'holds' if line.holds else 'BROKEN'}"
        for line in found
    ]
    return "\n".join(rows)
