"""The verdict: what was asked, what the runs wrote, what was told and what the records say, held against each other."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .failovers import Failovers
from .families import broken_families, leaks, lost_children
from .members import Member
from .notes import Execution, Journals, Witness
from .observer import Claim, Observer, Seen

MARGIN_MS = 100
"""A run's last line and the end of its claim are this far apart at most when nothing is wrong."""


@dataclass
class Verdict:
    """What was found, a sentence each; `runs` is how many there were."""

    runs: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    overlaps: int = 0
    """Executions that went on after their claim had ended, beside the next one; their ends were refused."""
    unexplained: int = 0
    """Those of them whose worker was not frozen meanwhile."""
    starts: int = 0
    again: int = 0
    """Executions that were not the first of their run."""
    died: int = 0
    """Executions of claims that died with their master: what it gave last, no other one knows."""
    parents: int = 0
    """Executions that were told what became of a child."""
    highest: dict[str, int] = field(default_factory=dict)
    """The most at once in a scope, counted from what the runs wrote."""

    @property
    def holds(self) -> bool:
        """Whether nothing at all was found."""
        return not (self.lost or self.doubled or self.over or self.others)

    @property
    def line(self) -> str:
        """The last line of a soak."""
        return f"lost {len(self.lost)}, doubled {len(self.doubled)}, over limit {len(self.over)} of {self.runs} runs"


def judge(
    journals: Journals, witness: Witness, observers: Iterable[Observer], members: Iterable[Member],
    masters_died: Sequence[float] = (),
) -> Verdict:  # fmt: skip
    """Hold everything against everything. Call it when all has been read to its end."""
    observers = list(observers)
    seen = {run: found for observer in observers for run, found in observer.runs.items()}
    verdict = Verdict(len(seen.keys() | journals.acknowledged))
    executions, failovers = witness.of(), Failovers(masters_died)
    verdict.starts, verdict.again = len(witness.executions), len(witness.executions) - len(executions)
    verdict.parents = sum(bool(family.told) for family in witness.families.values())
    verdict.died = failovers.take_dead(executions, seen)
    verdict.lost += [*_lost(journals, seen, executions), *lost_children(witness, seen)]
    verdict.doubled += [*witness.faults, *(fault for observer in observers for fault in observer.twice)]
    verdict.doubled += _doubled(journals, seen, executions)
    verdict.over += [fault for observer in observers for fault in observer.over]
    for observer in observers:
        verdict.over += _peaks(observer, executions, verdict.highest, failovers)
    verdict.others += [*journals.wrong, *_broken_words(journals, seen, failovers), *broken_families(witness, seen)]
    verdict.others += [leak for observer in observers for leak in leaks(observer)]
    verdict.others += [fault for member in members for fault in member.strange]
    verdict.others += [f"{o.gaps} parts of the events of {o.pool} went by unseen" for o in observers if o.gaps]
    _overlaps(verdict, seen, executions, {member.name: member.frozen for member in members})
    return verdict


def _lost(journals: Journals, seen: dict[str, Seen], executions: dict[str, list[Execution]]) -> Iterator[str]:
    """Acknowledged and not there, there and not over, completed and never executed."""
    for run in sorted(journals.acknowledged - seen.keys()):
        yield f"{run} was acknowledged and never seen"
    for run, found in seen.items():
        if not found.finished or found.record is None:
            yield f"{run} is not over: {found.finished or 'no end was told'}, record {found.record}"
        elif found.finished == "completed":
            token = found.record[1]
            ends = [one for one in executions.get(run, ()) if one.token == token and one.how == "end"]
            if not ends:
                yield f"{run} is completed under token {token}, but no execution of that claim wrote its end"


def _doubled(journals: Journals, seen: dict[str, Seen], executions: dict[str, list[Execution]]) -> Iterator[str]:
    for run, found in executions.items():
        claims = seen[run].claims if run in seen else []
        if len(found) > len(claims):
            yield f"{run} was executed {len(found)} times and admitted {len(claims)} times"
        later = [one for one in found if run in seen and seen[run].record and one.token > seen[run].record[1]]
        if later:
            yield f"{run} was executed under a token greater than that of its end"
    for run, other in journals.same.items():
        if run in seen:
            yield f"{run} was published although {other} has its idempotency key"


def _broken_words(journals: Journals, seen: dict[str, Seen], failovers: Failovers) -> Iterator[str]:
    """What was acknowledged and did not come true, beside being lost."""
    for run, at in journals.cancelled.items():
        if not failovers.is_open(at) and run in seen and seen[run].finished not in {"cancelled", ""}:
            yield f"{run} was cancelled, as was acknowledged, and ended as {seen[run].finished}"
    for run, (_, bucket) in journals.asked.items():
        queue, _, keys = bucket.partition("||")
        asked = ("pool", f"queue {queue}", *(f"key {key}" for key in keys.split("|") if key))
        if run in seen and seen[run].scopes != asked:
            yield f"{run} was published for {asked} and is in {seen[run].scopes}"


def _claim_of(execution: Execution, claims: list[Claim]) -> Claim | None:
    """A claim token is about the server's ms of its admission."""
    return min(claims, key=lambda claim: abs(claim.admitted_ms - execution.token), default=None)


def _peaks(
    observer: Observer, executions: dict[str, list[Execution]], highest: dict[str, int], failovers: Failovers
) -> Iterator[str]:
    """The most at once in each scope, by what the runs wrote; an execution counts for as long as its claim at most."""
    edges: dict[str, list[tuple[int, int]]] = {}
    for run, found in executions.items():
        seen = observer.runs.get(run)
        for execution in found if seen else ():
            claim = _claim_of(execution, seen.claims)
            ends = [ms for ms in (execution.ended_ms, claim.ended_ms if claim else 0) if ms]
            parts = claim.parts(execution.began_ms, min(ends)) if claim and ends else ()
            for begin, end in parts:
                if begin < end and not failovers.touches(begin, end):
                    for scope in seen.scopes:
                        edges.setdefault(scope, []).extend([(begin, 1), (end, -1)])
    for scope, found in edges.items():
        now = most = 0
        for _, step in sorted(found):
            now += step
            most = max(most, now)
        name = f"{observer.pool} {scope}"
        highest[name] = most
        if most > observer.highest_of(scope):
            yield f"{most} executions at once in {name}, whose highest limit ever was {observer.highest_of(scope):g}"


def _overlaps(
    verdict: Verdict,
    seen: dict[str, Seen],
    executions: dict[str, list[Execution]],
    frozen: dict[str, list[tuple[float, float]]],
) -> None:
    for run, found in executions.items():
        for earlier, later in pairwise(found):
            if not earlier.ended_ms or earlier.ended_ms <= later.began_ms + MARGIN_MS:
                continue
            verdict.overlaps += 1
            claim = _claim_of(earlier, seen[run].claims) if run in seen else None
            times = frozen.get(claim.worker.rpartition("-")[0], []) if claim else []
            if not any(begin * 1000 < earlier.ended_ms and end * 1000 > earlier.began_ms for begin, end in times):
                verdict.unexplained += 1


def states(observers: Iterable[Observer]) -> Counter[str]:
    """How many runs ended in each state."""
    return Counter(found.finished or "open" for observer in observers for found in observer.runs.values())
