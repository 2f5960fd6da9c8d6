"""The audit's findings, as the doctor tells them."""

from ..auditing import Report
from .findings import Finding, error, fine, warning

_SHOWN = 20
_REMEDY = "a running dispatcher puts right what is safe; keep the server's data and the logs, and report it"


def check_audit(report: Report) -> list[Finding]:
    """One finding a violation, _SHOWN at most; one that says so where there is none."""
    if not report.violations:
        text = f"{report.looked:,} things looked at, {report.events:,} events folded: all is where it should be"
        if report.is_whole:
            return [fine("audit", text, report.pool)]
        return [warning("audit", f"{text}; too many slots are held to follow the events", "try again", report.pool)]
    found = [error("audit", str(violation), _REMEDY, report.pool) for violation in report.violations[:_SHOWN]]
    more = len(report.violations) - _SHOWN
    return [*found, error("audit", f"and {more} more", _REMEDY, report.pool)] if more > 0 else found
