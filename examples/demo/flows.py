"""What process workers execute: entrypoint `flows.py:longest_line`, or command `python flows.py FILE NUMBER PAUSE`.

`scripts/demo` runs some dozens of each, published by a program that is not Sluice.
"""

import sys

from tasks import DATA, observed

from dispatcher import context


def longest_line(file: str, number: int = 0, pause: float = 0) -> dict[str, str]:
    """The longest line of a text, and which attempt found it."""
    with observed(number, pause):
        line = max((DATA / file).read_text().splitlines(), key=len)
        context.logger.info("found it", letters=len(line))
        return {"line": line, "attempt": str(context.attempt)}


def main(file: str, number: str, pause: str) -> None:
    """The same without Sluice: what it prints is the run's log."""
    with observed(int(number), float(pause)):
        print(max((DATA / file).read_text().splitlines(), key=len))


if __name__ == "__main__":
    main(*sys.argv[1:])
