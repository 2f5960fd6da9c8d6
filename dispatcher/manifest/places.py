"""Where something is said in a file: its line and its JSON pointer."""

from collections.abc import Mapping
from typing import NamedTuple

from ..documents import pointer_of
from ..errors import InvalidInput

Path = tuple[str | int, ...]


class Finding(NamedTuple):
    """What is to be told about a file, and where."""

    file: str
    line: int
    pointer: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.pointer or '/'}: {self.text}"


class Lines(NamedTuple):
    """The lines of a file's values. What came by an alias has the line where it is written."""

    file: str
    by_path: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of a value; of what it would be in when it is not there."""
        while path and path not in self.by_path:
            path = path[:-1]
        return self.by_path.get(path, 1)

    def finding(self, path: Path, text: str) -> Finding:
        """Something to tell about a value."""
        return Finding(self.file, self.line_of(path), pointer_of(path), text)


class ManifestFaults(InvalidInput):
    """A file that cannot be applied: all that is wrong with it, a line each, in the order of the file."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = sorted(set(findings), key=lambda found: (found.file, found.line, found.pointer))
        super().__init__("\n".join(map(str, self.findings)))


def path_of(pointer: str) -> Path:
    """The path of a JSON pointer; list positions become numbers."""
    parts = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    return tuple(int(part) if part.isdecimal() else part for part in parts)
