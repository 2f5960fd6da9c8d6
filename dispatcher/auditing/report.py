"""What an audit found."""

from dataclasses import dataclass, field

INVARIANT_OF = {
    "over_limit": "I1", "unslotted": "I1",
    "unreachable": "I2", "unwoken": "I2", "stalled": "I2",
    "lost": "I3", "ghost": "I3", "leaked": "I3", "stranded": "I3", "doubled": "I3", "miscounted": "I3",
    "unbalanced": "I3",
    "repeated": "I6",
}  # fmt: skip
"""The invariant that each kind of violation breaks. I4 shows as `repeated`; I5 is for the model and the simulation."""

MEANING = {
    "over_limit": "holds more than its limit, though something was admitted after the limit was set",
    "unslotted": "is in hand without a slot in each of its scopes",
    "unreachable": "has runs and is neither awake nor parked, so nothing would ever take them",
    "unwoken": "waits for a key that has room, and nothing would wake it",
    "stalled": "waits beside an idle worker that may take it",
    "lost": "is alive and nowhere: in no backlog, not due, in nobody's hands",
    "ghost": "stands where runs wait and does not wait",
    "leaked": "keeps a slot or facts and is not in hand",
    "stranded": "is in the hands of a worker that is not there or does not hold it",
    "doubled": "is in two places",
    "miscounted": "has another number of queued runs than is told",
    "unbalanced": "is where the events do not put it",
    "repeated": "was admitted while in hand, or ended twice",
}
"""What each kind says of its run, bucket, scope or queue."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One finding: `what` of INVARIANT_OF, and the run, bucket, scope or queue that it is about."""

    what: str
    word: str

    @property
    def invariant(self) -> str:
        """I1 to I6."""
        return INVARIANT_OF[self.what]

    def __str__(self) -> str:
        return f"{self.word} {MEANING[self.what]} ({self.invariant}, {self.what})"


@dataclass(slots=True)
class Report:
    """What a whole audit of a pool found; `looked` at so many runs and members of sets, `events` folded.

    `is_whole`: what happened meanwhile was folded too. `repaired`: what was found has been put right where it is safe.
    """

    pool: str
    looked: int = 0
    events: int = 0
    is_whole: bool = True
    repaired: bool = False
    violations: list[Violation] = field(default_factory=list[Violation])
