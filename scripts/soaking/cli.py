"""The command: `scripts/soak --seed N --duration 2m --faults MIX`."""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from dispatcher.durations import seconds_of
from dispatcher.errors import InvalidInput

from .report import lines, table
from .server import SoakError
from .soak import Options, Outcome, Soak
from .timetable import GROUPS, KINDS, draw, read_mix

ROOT = Path(__file__).resolve().parents[2]
LEAST = 1_000_000


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Publishers, workers, schedulers and dispatchers as real processes, hurt as a seed says; then what"
        " was lost, doubled or over a limit. The exit code is 0 when nothing was.",
    )
    parser.add_argument("--seed", type=int, help="what is published and what goes wrong; drawn when not given")
    parser.add_argument("--duration", default="2m", help="how long, such as 90s, 2m or 1h")
    kinds = f"groups {', '.join(GROUPS)}; kinds {', '.join(KINDS)}"
    parser.add_argument("--faults", default="all", help=f"by commas, with weights as kill=3: all, none; {kinds}")
    parser.add_argument("--server", default="redis", choices=("redis", "valkey"), help="the server's program")
    parser.add_argument(
        "--topology", default="one", choices=("one", "sentinel"),
        help="one server; or a master, a replica and three sentinels, every publish at the level replicated",
    )  # fmt: skip
    parser.add_argument("--tls", action="store_true", help="certificates on both sides of every connection")
    parser.add_argument("--rate", type=float, default=40.0, help="what the publishers ask for, a second")
    parser.add_argument("--lease", type=float, default=3.0, help="of the workers, in seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    parser.add_argument("--folder", type=Path, help="where logs, journals and data are kept; else only on failure")
    parser.add_argument(
        "--admissions", type=int, metavar="N", help="instead: so many admissions, replayed against every limit"
    )
    parser.add_argument("--plan", action="store_true", help="print what would go wrong, and end")
    given = parser.parse_args(words)
    if given.tls and given.topology == "sentinel":
        parser.error("--tls is for --topology one: the network between reads and changes what sentinels say")
    if given.admissions is not None and given.admissions < LEAST:
        parser.error(f"--admissions: {LEAST} at least, or not every limit is met")
    return given


def main(words: list[str] | None = None) -> int:
    """Soak once: 1 when something did not hold, 2 when it could not be played."""
    given = _arguments(words)
    if given.admissions:
        return _admit(given.admissions)
    try:
        options = _options(given)
    except (ValueError, InvalidInput) as error:
        print(error, file=sys.stderr)
        return 2
    if given.plan:
        print(*draw(options.seed, options.duration, options.faults, options.lease), sep="\n")
        return 0
    began = time.monotonic()

    def say(step: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {step}", file=sys.stderr, flush=True)

    try:
        outcome = asyncio.run(Soak(options, say).play())
    except SoakError as error:
        print(error, file=sys.stderr)
        return 2
    return _report(given, options, outcome)


def _admit(count: int) -> int:
    """The test of a million admissions, as long as it is wanted."""
    words = [sys.executable, "-m", "pytest", "-q", "tests/model/test_million.py"]
    code = subprocess.run(words, cwd=ROOT, env={**os.environ, "SLUICE_MODEL_ADMISSIONS": str(count)}, check=False)
    print(f"{count:,} admissions, " + ("a violation, see above" if code.returncode else "0 violations"))
    return code.returncode


def _options(given: argparse.Namespace) -> Options:
    seed = given.seed if given.seed is not None else time.time_ns() % 1_000_000
    duration = seconds_of(given.duration)
    mix = read_mix(given.faults, given.topology)
    folder = given.folder or Path()
    if given.folder is None and not given.plan:
        folder = Path(tempfile.mkdtemp(prefix="sluice-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    place = (given.topology, given.tls)
    return Options(seed, duration, mix, given.server, folder.resolve(), *place, rate=given.rate, lease=given.lease)


def _report(given: argparse.Namespace, options: Options, outcome: Outcome) -> int:
    found, verdict = lines(outcome, options), outcome.verdict
    holds = all(line.holds for line in found)
    print(table(found))
    if given.json:
        rows = [asdict(line) for line in found]
        given.json.write_text(json.dumps({"seed": options.seed, "verdict": verdict.line, "lines": rows}, indent=1))
    if not holds:
        for what in ("lost", "doubled", "over", "others"):
            for sentence in getattr(verdict, what)[:20]:
                print(f"{what}: {sentence}")
        print(f"logs, journals and data: {options.folder}")
        rest = "".join(
            f" --{name} {getattr(given, name)}" for name in ("faults", "server", "topology", "rate", "lease")
        )
        rest += " --tls" * given.tls
        print(f"replay with: scripts/soak --seed {options.seed} --duration {given.duration}{rest}")
    elif given.folder is None:
        shutil.rmtree(options.folder, ignore_errors=True)
    print(verdict.line)
    return 0 if holds else 1
