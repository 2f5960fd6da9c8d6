"""Temporary folders of runs: each run that names none gets one of its own, and nothing of a run stays.

Making and removing a folder costs more than starting a small process. So one that nobody touched is used again. All are
in one folder of the worker, `base`, which its keepers (keeper.py) remove when the worker is killed.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

_MOST_UNUSED = 64
Marks = tuple[int, ...]


@dataclass(frozen=True)
class Folder:
    """Where a run is executed; `made` tells an own one as it was when it was new, None for the run's choice."""

    path: str
    made: Marks | None = None


class Folders:
    """Gives out folders and takes them back."""

    def __init__(self) -> None:
        self.base = str(Path(tempfile.gettempdir(), f"sluice-{secrets.token_hex(8)}"))
        self._unused: list[Folder] = []

    def take(self, wanted: str | None) -> Folder:
        """The folder that is wanted, or else an empty one."""
        if wanted is not None:
            return Folder(wanted)
        while self._unused:
            folder = self._unused.pop()
            if _is_untouched(folder):  # who tidies /tmp may have removed it meanwhile
                return folder
        with contextlib.suppress(FileExistsError):
            Path(self.base).mkdir(mode=0o700)
        path = tempfile.mkdtemp(prefix="sluice-run-", dir=self.base)
        return Folder(path, _marks(path))

    async def give_back(self, folder: Folder) -> None:
        """The run is over: an own folder goes with all that is in it, or is kept when it is as good as new."""
        if folder.made is None:
            return
        if len(self._unused) < _MOST_UNUSED and _is_untouched(folder):
            self._unused.append(folder)
        else:
            await asyncio.to_thread(shutil.rmtree, folder.path, ignore_errors=True)

    def close(self) -> None:
        """Remove all that are left."""
        shutil.rmtree(self.base, ignore_errors=True)


def _marks(path: str) -> Marks:
    found = os.lstat(path)
    return found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_ctime_ns


def _is_untouched(folder: Folder) -> bool:
    """Its time of change tells of whatever was done to it or in it; within one tick of that clock, the rest does."""
    try:
        return _marks(folder.path) == folder.made and not any(Path(folder.path).iterdir())
    except OSError:
        return False
