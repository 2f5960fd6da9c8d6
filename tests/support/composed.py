"""What compose/ makes and says: secrets, users of the server, its files as Docker Compose reads them."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "compose"
_VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<or>:?-)(?P<default>[^}]*)\}")


class Secrets:
    """Secrets of a stack in a folder, made as a user makes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.make()

    def make(self) -> None:
        """Make those that are missing."""
        subprocess.run([FOLDER / "make-secrets", self.folder], check=True, capture_output=True)

    def __getitem__(self, user: str) -> str:
        return (self.folder / f"redis_{user}").read_text()

    def url(self, user: str, port: int) -> str:
        """The address of a server on this machine for one of its users."""
        return f"redis://{user}:{self[user]}@127.0.0.1:{port}/0"


def read(name: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A compose file with its anchors and variables resolved."""

    def value(found: re.Match[str]) -> str:
        given = (variables or {}).get(found["name"])
        return found["default"] if given is None or (not given and found["or"] == ":-") else given

    text = _VARIABLE.sub(value, (FOLDER / name).read_text()).replace("$$", "$")
    resolved: dict[str, Any] = yaml.safe_load(text)
    return resolved


def read_both() -> dict[str, Any]:
    """compose.yaml with compose.ha.yaml over it."""
    return _merged(read("compose.yaml"), read("compose.ha.yaml"))


def _merged(base: Any, over: Any, name: str = "") -> Any:
    """As Docker Compose does it: mappings by name, lists one after the other, a command as a whole."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _merged(base.get(key), value, key) for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list) and name != "command":
        return [*base, *(item for item in over if item not in base)]
    return over
