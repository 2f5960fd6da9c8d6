"""The files: one a dashboard, the same bytes for the same source."""

import json
from pathlib import Path

from .control_plane import control_plane
from .document import Json
from .overview import overview
from .queues import queues
from .workers import workers

FOLDER = Path(__file__).resolve().parents[2] / "compose" / "grafana" / "dashboards"


def dashboards() -> dict[str, Json]:
    """Return every dashboard by its file's name."""
    made = (overview(), queues(), workers(), control_plane())
    return {f"{board['uid']}.json": board for board in made}


def text(board: Json) -> str:
    """Return what stands in the file of a dashboard."""
    return json.dumps(board, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all, and remove what is no dashboard any more."""
    made = dashboards()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, board in made.items():
        (FOLDER / name).write_text(text(board), encoding="utf-8")
    print(f"wrote {', '.join(made)}")
