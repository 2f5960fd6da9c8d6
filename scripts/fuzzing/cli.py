"""The command: arguments in, a report and an exit code out."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from fuzzing.campaign import Campaign, Unguided
from fuzzing.running import Report, fuzz, retry
from fuzzing.target import Target
from fuzzing.targets import TARGETS

MOST_MB = 256
"""By how much the process may grow; the largest inputs are some tens of KB."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many (1,000,000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tries the same inputs (1)")
    parser.add_argument("--only", choices=[target.name for target in TARGETS], help="one decoder alone")
    parser.add_argument("--guided", action="store_true", help="let atheris lead to code that was not reached")
    parser.add_argument("--seconds", type=int, default=0, help="guided: for each decoder at most (no bound)")
    parser.add_argument("--folder", type=Path, help="guided: keeps findings and inputs, and goes on from those")
    parser.add_argument("--input", type=Path, metavar="FILE", help="try this one file again, with --only")
    asked = parser.parse_args()
    if asked.input and not asked.only:
        parser.error("--input wants the decoder by --only")
    if (asked.seconds or asked.folder) and not asked.guided:
        parser.error("--seconds and --folder want --guided")
    return asked


def main() -> None:
    """Fuzz, print the report, and exit with 1 when anything did what nothing may, with 2 when it cannot be tried."""
    asked = _arguments()
    targets = [target for target in TARGETS if asked.only in (None, target.name)]
    try:
        report = _report(asked, targets)
    except (Unguided, OSError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    _print(report, asked.seed)
    raise SystemExit(1 if report.faults or report.grown_mb > MOST_MB else 0)


def _report(asked: argparse.Namespace, targets: list[Target]) -> Report:
    if asked.input:
        return retry(targets[0], asked.input.read_bytes())
    if not asked.guided:
        return fuzz(asked.inputs, asked.seed, targets)
    folder = asked.folder.resolve() if asked.folder else Path(tempfile.mkdtemp(prefix="sluice-fuzz-"))
    report = Campaign(folder, asked.inputs, asked.seed, asked.seconds, targets).run()
    if not asked.folder and not report.faults:
        shutil.rmtree(folder)
    return report


def _print(report: Report, seed: int) -> None:
    for target in TARGETS:
        accepted, refused = report.accepted[target.name], report.refused[target.name]
        if accepted or refused:
            first, last = report.reached.get(target.name, (0, 0))
            guided = f"   {first:>5,} branches by its seeds, {last:>5,} in the end" if last else ""
            print(f"{target.name:<16} {accepted:>9,} read {refused:>9,} refused{guided}")
    for fault in report.faults:
        print("FAULT", fault)
    each = 1_000_000 * report.seconds / max(1, report.inputs)
    print(
        f"{report.inputs:,} inputs of seed {seed}: {len(report.faults)} faults, {each:.1f} us each, the slowest "
        f"{1000 * report.slowest[0]:.0f} ms ({report.slowest[1]}), {report.grown_mb:.0f} MB more"
    )
