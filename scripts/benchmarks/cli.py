"""The command line: what to measure, how often, and where the figures go."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks.floor import FLOOR
from benchmarks.harness import Contender, Setting, measurement
from benchmarks.machine import versions
from benchmarks.peers.environment import peers
from benchmarks.report import Measured, ratios, save, table
from benchmarks.scenarios import SCENARIOS


def arguments() -> argparse.Namespace:
    """Read the command line."""
    scenarios = "\n".join(f"  {name:<12} {scenario.__doc__}" for name, scenario in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=f"Measure Sluice beside a bare redis-py loop (floor).\n\nscenarios:\n{scenarios}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", nargs="*", help="which (all)")
    parser.add_argument("--peers", action="store_true", help="measure other dispatchers too, installed into .bench/")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this contender (repeatable)")
    parser.add_argument("--rounds", type=int, default=5, help="how often; contenders take turns (5)")
    parser.add_argument("--quick", action="store_true", help="an eighth of the runs: to see that it works")
    parser.add_argument("--pin", choices=["free", "same", "split"], default="free", help="cores of server and worker")
    parser.add_argument("--aof", action="store_true", help="the server writes an append-only file, fsync every second")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round")
    chosen = parser.parse_args()
    if unknown := set(chosen.scenario) - set(SCENARIOS):
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return chosen


def contenders(chosen: argparse.Namespace) -> Sequence[Contender]:
    """Return who is measured, Sluice first."""
    everyone: list[Contender] = []
    if find_spec("benchmarks.sluice"):
        everyone.append(import_module("benchmarks.sluice").SLUICE)
    everyone += [FLOOR, *(peers() if chosen.peers else [])]
    return [one for one in everyone if not chosen.only or one.name in chosen.only]


def measure(chosen: argparse.Namespace, scenario: str, everyone: Sequence[Contender], measured: Measured) -> None:
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
                with measurement(one, Setting(chosen.quick, chosen.pin, chosen.aof)) as context:
                    rows[one.name].append(SCENARIOS[scenario](context))
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)


def main() -> None:
    """Measure what was asked for; print each table as soon as it is done."""
    chosen = arguments()
    everyone = contenders(chosen)
    setting = {**versions(), "rounds": chosen.rounds, "quick": chosen.quick, "pin": chosen.pin, "aof": chosen.aof}
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    measured: Measured = {}
    for scenario in chosen.scenario or SCENARIOS:
        measure(chosen, scenario, everyone, measured)
        rows = measured[scenario]
        if rows:
            print("\n" + "\n".join(filter(None, [table(scenario, rows), "\n" + ratios(scenario, rows)])), flush=True)
    if chosen.json:
        save(chosen.json, setting, measured)
