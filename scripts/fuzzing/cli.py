"""The command: arguments in, a report and an exit code out."""

import argparse

from fuzzing.running import Report, fuzz
from fuzzing.targets import TARGETS

MOST_MB = 256
"""By how much the process may grow; the largest inputs are some tens of KB."""


def main() -> None:
    """Fuzz, print the report, and exit with 1 when anything did what nothing may."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many (1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tries the same inputs (1)")
    parser.add_argument("--only", choices=[target.name for target in TARGETS], help="one decoder alone")
    asked = parser.parse_args()
    targets = [target for target in TARGETS if asked.only in (None, target.name)]
    report = fuzz(asked.inputs, asked.seed, targets)
    _print(report, asked.seed)
    raise SystemExit(1 if report.faults or report.grown_mb > MOST_MB else 0)


def _print(report: Report, seed: int) -> None:
    for target in TARGETS:
        accepted, refused = report.accepted[target.name], report.refused[target.name]
        if accepted or refused:
            print(f"{target.name:<16} {accepted:>9,} read {refused:>9,} refused")
    for fault in report.faults:
        print("FAULT", fault)
    each = 1_000_000 * report.seconds / max(1, report.inputs)
    print(
        f"{report.inputs:,} inputs of seed {seed}: {len(report.faults)} faults, {each:.1f} us each, the slowest "
        f"{1000 * report.slowest[0]:.0f} ms ({report.slowest[1]}), {report.grown_mb:.0f} MB more"
    )
