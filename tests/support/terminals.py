"""Commands in a pseudo-terminal: what they print there, and answers typed into it."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Screen(NamedTuple):
    """What was shown, and how the command ended."""

    text: str
    code: int


def in_terminal(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    answers: Sequence[tuple[str, str]] = (),
    timeout: float = 60.0,
) -> Screen:
    """Run a command in a terminal of its own; each answer is typed when its question is shown."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*map(str, command)], stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env={**os.environ, **(env or {})},
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        text = _converse(master, list(answers), time.monotonic() + timeout)
        return Screen(text, process.wait(timeout))
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _converse(master: int, answers: list[tuple[str, str]], deadline: float) -> str:
    """All that is shown until the terminal is closed at the other end."""
    shown, seen = b"", 0
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([master], [], [], left)[0]:
            break
        try:
            part = os.read(master, 65_536)
        except OSError:  # Linux says so when nobody has the other end any more
            return shown.decode()
        if not part:
            return shown.decode()
        shown += part
        if answers and answers[0][0].encode() in shown[seen:]:
            seen = len(shown)
            os.write(master, answers.pop(0)[1].encode())
    raise AssertionError(f"the command did not end:\n{shown.decode()}")
