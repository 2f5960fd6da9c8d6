"""The command line: what to measure, how often, and where the figures go."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks.before import before
from benchmarks.floor import FLOOR
from benchmarks.harness import Contender, Setting, measurement
from benchmarks.machine import versions
from benchmarks.page import rewrite
from benchmarks.peers.contenders import Peer
from benchmarks.peers.environment import installed, wanted
from benchmarks.report import Measured, ratios, save, table
from benchmarks.scenarios import SCENARIOS

PEER_SCENARIOS = ("drain", "two-workers", "publish", "latency", "due", "memory")
Notes = dict[str, str]  # who was skipped or failed: why


def arguments() -> argparse.Namespace:
    """Read the command line."""
    scenarios = "\n".join(f"  {name:<12} {scenario.__doc__}" for name, scenario in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=f"Measure Sluice beside a bare redis-py loop (floor).\n\nscenarios:\n{scenarios}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", nargs="*", help="which (all)")
    parser.add_argument(
        "--peers",
        nargs="?",
        const="all",
        default="",
        metavar="NAMES",
        help="measure other dispatchers too, all or --peers=arq,huey; they are installed into .bench/",
    )
    parser.add_argument("--before", metavar="COMMIT", help="measure Sluice as it was at that commit too")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this contender (repeatable)")
    parser.add_argument("--rounds", type=int, help="how often; contenders take turns (5, with peers 3)")
    parser.add_argument("--quick", action="store_true", help="an eighth of the runs: to see that it works")
    parser.add_argument("--pin", choices=["free", "same", "split"], default="free", help="cores of server and worker")
    parser.add_argument("--aof", action="store_true", help="the server writes an append-only file, fsync every second")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    parser.add_argument(
        "--page", action="store_true", help="rewrite the table and plot of docs/performance.md from this"
    )
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (3 if chosen.peers else 5)
    if chosen.peers and not chosen.scenario:
        chosen.scenario = list(PEER_SCENARIOS)
    if unknown := set(chosen.scenario) - set(SCENARIOS):
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return chosen


def contenders(chosen: argparse.Namespace, stack: ExitStack) -> tuple[Sequence[Contender], Notes]:
    """Return who is measured, Sluice first, and why a peer is not."""
    everyone: list[Contender] = []
    if find_spec("benchmarks.sluice"):
        everyone.append(import_module("benchmarks.sluice").SLUICE)
        if chosen.before:
            everyone.append(stack.enter_context(before(everyone[0], chosen.before)))
    ready, notes = installed(wanted(chosen.peers))
    everyone += [FLOOR, *ready]
    return [one for one in everyone if not chosen.only or one.name in chosen.only], notes


def measure(
    chosen: argparse.Namespace, scenario: str, everyone: Sequence[Contender], measured: Measured, notes: Notes
) -> None:
    """Measure one scenario, in rounds so that a noisy minute hits all contenders."""
    rows = measured[scenario] = {one.name: [] for one in everyone if scenario in one.scenarios}
    for round_number in range(chosen.rounds):
        for one in everyone:
            if one.name in rows:
                print(
                    f"\r{scenario} {round_number + 1}/{chosen.rounds} {one.name:<20}",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
                try:
                    with measurement(one, Setting(chosen.quick, chosen.pin, chosen.aof)) as context:
                        rows[one.name].append(SCENARIOS[scenario](context))
                except RuntimeError as error:
                    if not isinstance(one, Peer):
                        raise
                    # A peer that fails must not take the others' figures with it; the report names it.
                    notes[f"{one.name}, {scenario}"] = str(error).splitlines()[0]
                    print(f"\nfailed: {one.name}: {error}", file=sys.stderr)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    measured[scenario] = {name: results for name, results in rows.items() if results}


def main() -> None:
    """Measure what was asked for; print each table as soon as it is done."""
    with ExitStack() as stack:
        _measure_all(arguments(), stack)


def _measure_all(chosen: argparse.Namespace, stack: ExitStack) -> None:
    everyone, notes = contenders(chosen, stack)
    setting = {**versions(), "rounds": chosen.rounds, "quick": chosen.quick, "pin": chosen.pin, "aof": chosen.aof}
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    measured: Measured = {}
    for scenario in chosen.scenario or SCENARIOS:
        measure(chosen, scenario, everyone, measured, notes)
        rows = measured[scenario]
        if rows:
            print("\n" + "\n".join(filter(None, [table(scenario, rows), "\n" + ratios(scenario, rows)])), flush=True)
    print("".join(f"\nnot measured: {who}: {why}" for who, why in notes.items()))
    if chosen.json:
        save(chosen.json, {**setting, "notes": notes}, measured)
    if chosen.page:
        rewrite({**setting, "notes": notes}, measured)
