"""Fuzz: `python scripts/fuzzing/__main__.py [--inputs N] [--seed N]`; `scripts/fuzz` does it in .venv."""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not our own folder: its modules belong to `fuzzing`
    import_module("fuzzing.cli").main()
