"""A small disk for a server, to be filled: a tmpfs over its folder."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import Server

_MEGABYTE = 1024 * 1024


class Disk:
    """A disk that can be filled and emptied."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no byte."""
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        """Give it all back."""
        self._ballast.unlink()


@contextlib.contextmanager
def small_disk(server: Server, megabytes: int = 16) -> Iterator[Disk]:
    """A disk of its own for a server that is not started yet. Skips the test where nothing may be mounted."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes * _MEGABYTE}", "none", str(server.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(server.folder)
    finally:
        server.kill()
        subprocess.run(["umount", "-l", str(server.folder)], check=True)
