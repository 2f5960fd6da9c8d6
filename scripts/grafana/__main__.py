"""Write the dashboards: `python scripts/grafana/__main__.py`; `scripts/dashboards` does it in .venv."""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not our own folder: its modules belong to `grafana`
    import_module("grafana.writing").main()
