"""Templates and variables that do not fit, with all faults and their places."""

from collections.abc import Sequence

from ..documents import Fault
from ..errors import InvalidInput

MOST_TOLD = 50


class InvalidTemplate(InvalidInput):
    """A base job template that cannot work; `faults` holds all of it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(told("the template", faults))


class InvalidVariables(InvalidInput):
    """Job variables that do not fit their pool's template; `faults` holds all of it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(told("the job variables", faults))


def told(what: str, faults: Sequence[Fault]) -> str:
    """One line for each fault, 50 at most; the last line says how many more there are."""
    lines = [f"{what}: {fault.pointer or 'all of it'}: {fault.text}" for fault in faults[:MOST_TOLD]]
    if len(faults) > MOST_TOLD:
        lines.append(f"{what}: {len(faults) - MOST_TOLD} more faults")
    return "\n".join(lines)
