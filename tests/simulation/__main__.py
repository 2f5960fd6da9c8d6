"""Plays histories and says what became of them; see README.md beside it."""

import argparse
import sys
import time

from .history import play


def main() -> int:
    """Play what is asked for; 1 when a history broke."""
    parser = argparse.ArgumentParser(prog="scripts/simulate")
    parser.add_argument("--seed", type=int, default=1, help="the first history")
    parser.add_argument("--seeds", type=int, default=1, help="how many histories")
    parser.add_argument("--verbose", action="store_true", help="show each call")
    parser.add_argument("--calm", action="store_true", help="without faults")
    asked = parser.parse_args()
    broken = 0
    for seed in range(asked.seed, asked.seed + asked.seeds):
        start = time.process_time()
        try:
            told = play(seed, print if asked.verbose else None, faults=not asked.calm)
        except AssertionError as error:
            broken += 1
            print(f"seed {seed} broke: {str(error)[:2000]}")
        else:
            print(
                f"seed {seed}: {told.runs} runs, {told.executions} executions, {told.calls} calls, "
                f"{sum(told.faults.values())} faults, drained {told.seconds:.1f} s after they ended; "
                f"{told.history[:12]}, {time.process_time() - start:.2f} s"
            )
    if asked.seeds > 1:
        print(f"{broken} of {asked.seeds} histories broke")
    return min(broken, 1)


sys.exit(main())
