"""Sluice as it was at another commit, measured beside what is here, with the same programs' scenarios and packages."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import Programs

_ROOT = Path(__file__).resolve().parents[2]
_FOLDER = _ROOT / ".bench"


@contextmanager
def before(now: Programs, commit: str) -> Generator[Programs, None, None]:
    """Check the commit out into .bench/ while it is measured; its own programs are run. SystemExit if it is none."""
    found = _git("rev-parse", "--verify", "--short=12", f"{commit}^{{commit}}")
    place = _FOLDER / f"before-{found}"
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / ".gitignore").write_text("*\n")
    _git("worktree", "add", "--force", "--detach", str(place), found)
    has_levels = (place / "scripts/benchmarks/durability.py").exists()
    scenarios = now.scenarios if has_levels else now.scenarios - {"durability"}
    try:
        yield replace(now, name="before", scenarios=scenarios, variables=(f"PYTHONPATH={place / 'scripts'}:{place}",))
    finally:
        _git("worktree", "remove", "--force", str(place))


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()
