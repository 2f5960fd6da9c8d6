"""Parents, which publish runs and wait for them: each acknowledged child is there, and its end came to its parent."""

from collections.abc import Iterator, Mapping

from .notes import Witness
from .observer import Observer, Seen


def lost_children(witness: Witness, seen: Mapping[str, Seen]) -> Iterator[str]:
    """Children that a parent was acknowledged and nobody saw."""
    born = {child for family in witness.families.values() for child in family.born}
    for child in sorted(born - seen.keys()):
        yield f"{child} was acknowledged to its parent and never seen"


def broken_families(witness: Witness, seen: Mapping[str, Seen]) -> Iterator[str]:
    """What a parent was told that is not so, and parents that ended without having been told."""
    for (parent, token), family in witness.families.items():
        execution = witness.executions.get((parent, token))
        if execution and execution.how == "end" and family.born != family.told.keys():
            yield f"{parent} ended under token {token} and was not told of {sorted(family.born - family.told.keys())}"
        for child, kind in family.told.items():
            ended = seen[child].finished if child in seen else ""
            if kind in {"gone", "wrong"}:
                what = "found no record of it" if kind == "gone" else "got the result of another run"
                yield f"{parent} waited for {child} and {what}; it is {ended or 'open'}"
            elif ended and (kind == "got") != (ended == "completed"):
                yield f"{parent} was told that {child} has {'a' if kind == 'got' else 'no'} result; it is {ended}"


def leaks(observer: Observer) -> Iterator[str]:
    """Slots that are held when nothing is open any more, by what the events tell."""
    for scope, count in observer.held.items():
        if count > 0:
            yield f"{count} slots of {observer.pool} {scope} were never given back, by its events"
