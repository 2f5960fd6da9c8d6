"""How long it took until the runs of a worker that had died were taken back, and were in another one's hands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .members import Member
from .observer import Observer


@dataclass
class Recovery:
    """Seconds from a worker's end. `quiet`: while nobody touched server and limits, and a dispatcher was well."""

    runs: int = 0
    taken_back: float = 0.0
    quiet_taken_back: float = 0.0
    quiet_elsewhere: float = 0.0


Times = list[tuple[float, float]]


def unattended(members: Iterable[Member], cut_off: Mapping[str, Times]) -> Times:
    """When no dispatcher was well: each of them was gone, frozen or cut off."""
    away = [
        [*member.absent, *member.frozen, *cut_off.get(member.name, ())]
        for member in members
        if member.role == "dispatcher"
    ]
    common = away[0]
    for other in away[1:]:
        both = ((max(begin, start), min(end, stop)) for begin, end in common for start, stop in other)
        common = [(begin, end) for begin, end in both if begin < end]
    return common


def measure(
    observers: Iterable[Observer], members: Iterable[Member], touched: Iterable[tuple[float, float]], lease: float
) -> Recovery:
    """Look at every claim that was open when its worker's process ended."""
    recovery, widened = Recovery(), [(begin, end + lease) for begin, end in touched]
    deaths = {member.name: [death.at for death in member.deaths] for member in members if member.role == "worker"}
    for observer in observers:
        for seen in observer.runs.values():
            for number, claim in enumerate(seen.claims):
                if claim.how != "requeued worker_lost":
                    continue
                ends = claim.ended_ms / 1000
                died = [
                    at for at in deaths.get(claim.worker.rpartition("-")[0], ()) if claim.admitted_ms / 1000 < at < ends
                ]
                if not died:
                    continue
                following = seen.claims[number + 1].admitted_ms / 1000 if number + 1 < len(seen.claims) else ends
                _count(recovery, died[0], ends, following, widened)
    return recovery


def _count(
    recovery: Recovery, died: float, taken_back: float, elsewhere: float, touched: list[tuple[float, float]]
) -> None:
    recovery.runs += 1
    recovery.taken_back = max(recovery.taken_back, taken_back - died)
    if not any(begin < elsewhere and end > died for begin, end in touched):
        recovery.quiet_taken_back = max(recovery.quiet_taken_back, taken_back - died)
        recovery.quiet_elsewhere = max(recovery.quiet_elsewhere, elsewhere - died)
