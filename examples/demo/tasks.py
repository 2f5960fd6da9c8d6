"""Functions for `sluice worker start --app tasks:functions`, and what `scripts/demo` runs by the hundred.

Each does a little real work on a file of `data/`, then waits a moment, as if a slow service had to be told. `number`
is the caller's own. With DEMO_LOG set, every run writes a line to that file when it starts and one when it ends: a
record of what really ran, and when, that does not depend on Sluice.
"""

import csv
import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers import Functions

DATA = Path(__file__).with_name("data")
functions = Functions()


@functions.register
def count_words(file: str, number: int = 0, pause: float = 0) -> dict[str, int]:
    """The five most frequent words of a text."""
    with observed(number, pause):
        words = Counter(word.strip(".,;:'").lower() for word in (DATA / file).read_text().split())
        return dict(words.most_common(5))


@functions.register
def checksum(file: str, number: int = 0, pause: float = 0) -> str:
    """The SHA-256 of a file, a thousand times over."""
    with observed(number, pause):
        digest = (DATA / file).read_bytes()
        for _ in range(1000):
            digest = hashlib.sha256(digest).digest()
        return digest.hex()


@functions.register
def add_up(file: str, column: str, number: int = 0, pause: float = 0) -> int:
    """The sum of a column of a CSV file."""
    with observed(number, pause), (DATA / file).open(newline="") as rows:
        return sum(int(row[column]) for row in csv.DictReader(rows))


@contextmanager
def observed(number: int, pause: float) -> Iterator[None]:
    """Write down start and end; wait between the work and its end."""
    write_line("start", number)
    yield
    time.sleep(pause)  # noqa: TID251 - stands for a slow service
    write_line("end", number)


def write_line(event: str, number: int) -> None:
    """Append `event number pid nanoseconds` in one write, so that lines of several processes never mix."""
    path = os.environ.get("DEMO_LOG")  # noqa: TID251 - an example's own variable
    if path is None:
        return
    line = f"{event} {number} {os.getpid()} {time.monotonic_ns()}\n"  # noqa: TID251 - one clock for all processes
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
