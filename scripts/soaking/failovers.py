"""What is not promised where a master dies: replication is behind what it acknowledged last."""

from collections.abc import Mapping, Sequence

from .notes import Execution
from .observer import Seen

LAG_MS = 2_000
"""A claim that was given so shortly before the death of a master may have died with it. It is a millisecond mostly."""
HEARD_MS = 10_000
"""An answer is noted when its publisher gets to it, which may have been frozen meanwhile."""
_SAME_MS = 100


class Failovers:
    """When masters were killed, in seconds since 1970; none where there is one server."""

    def __init__(self, times: Sequence[float]) -> None:
        self._times = [1000 * at for at in times]

    def is_open(self, answered_ms: int) -> bool:
        """Whether an answer that was noted then may have come from a master that died of it."""
        return any(abs(at - answered_ms) <= HEARD_MS for at in self._times)

    def crosses(self, began_ms: int, ended_ms: int) -> bool:
        """Whether a master died in this time: then another claim may have had the slots of this one."""
        return any(began_ms <= at <= ended_ms for at in self._times)

    def take_dead(self, executions: dict[str, list[Execution]], seen: Mapping[str, Seen]) -> int:
        """Take out executions of claims that died with their master, which no event tells of; how many there were."""
        count = 0
        for run, found in list(executions.items()):
            claims = seen[run].claims if run in seen else []
            known = [claim.admitted_ms for claim in claims]
            dead = [one for one in found if self._died(one.token, known)]
            count += len(dead)
            executions[run] = [one for one in found if one not in dead]
        return count

    def _died(self, token: int, known: Sequence[int]) -> bool:
        is_told = any(abs(ms - token) <= _SAME_MS for ms in known)
        return not is_told and any(0 <= at - token <= LAG_MS for at in self._times)
