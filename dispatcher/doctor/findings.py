"""What a check finds."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is. An error keeps runs from being executed, loses them or breaks limits; or may at any moment."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `pool` is '' where it is not about a pool, `remedy` is '' where nothing is to be done."""

    check: str
    severity: Severity
    finding: str
    remedy: str = ""
    pool: str = ""


def fine(check: str, finding: str, pool: str = "") -> Finding:
    """All is well."""
    return Finding(check, Severity.OK, finding, "", pool)


def warning(check: str, finding: str, remedy: str, pool: str = "") -> Finding:
    """Something should be otherwise."""
    return Finding(check, Severity.WARNING, finding, remedy, pool)


def error(check: str, finding: str, remedy: str, pool: str = "") -> Finding:
    """Something must be otherwise."""
    return Finding(check, Severity.ERROR, finding, remedy, pool)


def some(things: list[str], most: int = 5) -> str:
    """The first few of them, and how many more there are."""
    more = len(things) - most
    return ", ".join(things[:most]) + (f" and {more} more" if more > 0 else "")
