"""`sluice doctor`: what is wrong, and what to do about it."""

from ..clock import SystemClock
from ..doctor import Finding, Severity, examine
from ..redaction import without_controls
from ..settings import read_settings
from ..store import Store
from .connecting import server_url
from .failures import ExitCode
from .output import TABLE, Output, say, show


async def doctor(*, audit: bool = False, output: Output = TABLE) -> int:
    """Check the server, its pools and workers, and this installation; nothing is changed. Ends with 1 on errors.

    Parameters
    ----------
    audit
        Look at every run, slot and bucket too, and hold them against each other and against what was told meanwhile.
    """
    settings = read_settings()
    async with Store(server_url(settings)) as store:
        found = await examine(store, SystemClock(), settings.tick_ms, audit=audit)
    if output.format == "table" and not output.quiet:
        _print(found)
    else:
        show(found, (), output, lambda finding: finding.check)
    errors = sum(finding.severity is Severity.ERROR for finding in found)
    warnings = sum(finding.severity is Severity.WARNING for finding in found)
    say(f"{len(found)} findings: {errors} errors, {warnings} warnings")
    return ExitCode.FAILED if errors else ExitCode.OK


def _print(found: list[Finding]) -> None:
    """A line for each finding and one for its remedy; none is cut short."""
    for finding in found:
        what = f"{finding.check} {finding.pool}".strip()
        print(f"{finding.severity:<8} {what}: {without_controls(finding.finding)}")
        if finding.remedy:
            print(f"{'':<8} -> {without_controls(finding.remedy)}")
