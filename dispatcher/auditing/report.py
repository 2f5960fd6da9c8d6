"""What an audit found."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Kind(NamedTuple):
    """A way to be wrong: the invariant that it breaks, what it says of its word, whether `verify` puts it right."""

    invariant: str
    meaning: str
    is_mended: bool


KINDS = {
    "over_limit": Kind("I1", "holds more than its limit, though something was admitted after the limit was set", False),
    "unslotted": Kind("I1", "is in hand without a slot in each of its scopes", True),
    "unreachable": Kind("I2", "has runs and is in no place from which a worker would be given them", True),
    "unwoken": Kind("I2", "waits for a key that has room, and nothing would wake it", True),
    "stalled": Kind("I2", "waits beside an idle worker that may take it", False),
    "lost": Kind("I3", "is alive and nowhere: in no backlog, not due, in nobody's hands", True),
    "ghost": Kind("I3", "stands where runs wait and does not wait", True),
    "leaked": Kind("I3", "keeps a slot or facts and is not in hand", True),
    "stranded": Kind("I3", "is in the hands of a worker that is not there or does not hold it", True),
    "doubled": Kind("I3", "is in two places", True),
    "miscounted": Kind("I3", "has another number of queued or scheduled runs than is told", True),
    "unbalanced": Kind("I3", "is where the events do not put it", False),
    "repeated": Kind("I6", "was admitted while in hand, ended twice, or did something while it was not in hand", False),
}
"""I4 shows as `repeated`; I5 is for the model and the simulation."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One finding: `what` of KINDS, and the run, bucket, scope or queue that it is about."""

    what: str
    word: str

    @property
    def invariant(self) -> str:
        """I1 to I6."""
        return KINDS[self.what].invariant

    @property
    def is_mended(self) -> bool:
        """Whether it is put right where it is found with `repair`."""
        return KINDS[self.what].is_mended

    def __str__(self) -> str:
        return f"{self.word} {KINDS[self.what].meaning} ({self.invariant}, {self.what})"


@dataclass(slots=True)
class Report:
    """What a whole audit of a pool found; `looked` at so many runs and members of sets, `events` folded.

    `is_whole`: what happened meanwhile was folded too.
    """

    pool: str
    looked: int = 0
    events: int = 0
    is_whole: bool = True
    violations: list[Violation] = field(default_factory=list[Violation])
