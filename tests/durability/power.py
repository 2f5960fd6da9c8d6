"""Losing power: a server is killed, and of its append-only file only that is left which an fsync had reached.

What the kernel still had in its cache would be gone. A library that is preloaded into the server (synced.c) writes down
how much that is; the sector that is torn, and a disk that lies, are not modelled.
"""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.servers import Kind, Server

SOURCE = Path(__file__).with_name("synced.c")


def built(folder: Path) -> Path:
    """The library; the test is skipped without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build what watches a server's fsync")
    library = folder / "synced.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True, timeout=60)
    return library


class Powered:
    """A server whose power can be lost. It has an append-only file with these settings."""

    def __init__(self, kind: Kind, settings: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._synced = folder / "synced.txt"
        with monkeypatch.context() as environment:
            environment.setenv("LD_PRELOAD", str(built(folder)))
            environment.setenv("SYNCED_LOG", str(self._synced))
            self.server = Server(kind, aof=True, settings=settings).start()

    def unsynced(self) -> int:
        """How many bytes would be lost now."""
        return sum(path.stat().st_size - kept for path, kept in self._reached().items())

    def lose_power(self) -> int:
        """Kill it, forget what was not on disk, start it again without the library; how many bytes were forgotten."""
        self.server.kill()
        self.appended = {path: path.read_bytes() for path in self._reached()}
        self.kept = self._reached()
        forgotten = self.unsynced()
        for path, kept in self._reached().items():
            with path.open("r+b") as file:
                file.truncate(kept)
        self.server.start()
        return forgotten

    def places(self, run_ids: Iterable[str]) -> str:
        """Where the power's loss fell, and where these runs were first written; for people."""
        return "; ".join(
            f"{self.kept[path]} of {len(text)} bytes kept, runs at {[text.find(each.encode()) for each in run_ids]}"
            for path, text in self.appended.items()
        )

    def _reached(self) -> dict[Path, int]:
        """What is on disk of each file that the server appends to."""
        found = dict.fromkeys(self.server.folder.resolve().glob("appendonlydir/*.incr.aof"), 0)
        lines = self._synced.read_text().splitlines() if self._synced.exists() else []
        for line in lines:
            size, _, name = line.partition(" ")
            if Path(name) in found:
                found[Path(name)] = max(found[Path(name)], int(size))  # two threads may tell in another order
        return found
