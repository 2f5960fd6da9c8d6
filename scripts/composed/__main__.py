"""Bring up the compose stack on a Docker engine, publish runs, scale, kill and restart it, count what the runs wrote.

All is made under a project name of its own and removed again. The exit code is 0 when everything promised held.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict

from project import ROOT, DemoError, Project
from report import Line, lines, table
from scenario import SLOTS, Scenario

STAND_INS = {"python": "BASE_IMAGE", "redis": "REDIS_IMAGE", "prometheus": "PROMETHEUS_IMAGE"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="how many runs in all")
    parser.add_argument("--keep", action="store_true", help="leave the stack as it is afterwards")
    parser.add_argument("--json", action="store_true", help="print the lines of the table as JSON")
    parser.add_argument(
        "--stand-ins",
        action="store_true",
        help="use local images made by scripts/docker-engine, where none can be pulled",
    )
    given = parser.parse_args()
    if given.runs < 200:
        parser.error("--runs: 200 at least, or nothing waits while the stack is hurt")
    return given


def _stand_ins() -> dict[str, str]:
    for kind in STAND_INS:
        words = [str(ROOT / "scripts" / "docker-engine"), "stand-in", kind]
        if subprocess.run(words, stdout=sys.stderr, check=False).returncode:
            raise DemoError(f"no stand-in for {kind}")
    return {variable: f"sluice-stand-in:{kind}" for kind, variable in STAND_INS.items()}


def main() -> None:
    """Play it once; exit code 1 when a promise was broken, 2 when it could not be played to its end."""
    given = _arguments()
    began = time.monotonic()

    def say(step: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {step}", file=sys.stderr, flush=True)

    try:
        variables = _stand_ins() if given.stand_ins else {}
        with Project({**variables, "SLUICE_WORKER_SLOTS": str(SLOTS)}, keep=given.keep) as project:
            found: list[Line] = lines(Scenario(project, given.runs, say).play(), given.runs)
            say("taking it down")
    except DemoError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(json.dumps([asdict(line) for line in found]) if given.json else table(found))
    sys.exit(0 if all(line.holds for line in found) else 1)


if __name__ == "__main__":
    main()
