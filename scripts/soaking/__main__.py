"""Starts the soak; see cli.py."""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not our own folder: its modules belong to `soaking`
    sys.exit(import_module("soaking.cli").main())
