"""What is not promised where another master takes over: replication is behind what the old one acknowledged last."""

from collections.abc import Mapping, Sequence

from .notes import Execution
from .observer import Seen

LOST_MS = 10_000
"""How far from a change of master something may be lost with the old one, which may live on beside the new one until
the sentinels tell it; an answer is noted when its publisher gets to it. On an idle machine it is milliseconds."""
_SAME_MS = 100


class Failovers:
    """When another one became the master, in seconds since 1970; never where there is one server."""

    def __init__(self, times: Sequence[float]) -> None:
        self._times = [1000 * at for at in times]

    def is_open(self, ms: int) -> bool:
        """Whether what was answered then may have been lost with the master that answered."""
        return any(abs(at - ms) <= LOST_MS for at in self._times)

    def touches(self, began_ms: int, ended_ms: int) -> bool:
        """Whether it was about that time: then another claim may have had the slots of this one."""
        return any(began_ms - LOST_MS <= at <= ended_ms + LOST_MS for at in self._times)

    def take_dead(self, executions: dict[str, list[Execution]], seen: Mapping[str, Seen]) -> int:
        """Take out executions of claims that died with their master, which no event tells of; how many there were."""
        count = 0
        for run, found in list(executions.items()):
            claims = seen[run].claims if run in seen else []
            known = [claim.admitted_ms for claim in claims]
            dead = [one for one in found if self.is_open(one.token) and not _is_told(one.token, known)]
            count += len(dead)
            executions[run] = [one for one in found if one not in dead]
        return count


def _is_told(token: int, known: Sequence[int]) -> bool:
    return any(abs(ms - token) <= _SAME_MS for ms in known)
