"""A wall clock that can be set, for any program: a shared library in C (programs/clockshift.c), built by the test."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "programs" / "clockshift.c"


class ClockShift:
    """The clock of whatever is started with `environment`; built in C. Skips without a compiler."""

    def __init__(self, folder: Path) -> None:
        if sys.platform != "linux":
            pytest.skip("the wall clock is shifted on Linux only")
        compiler = shutil.which("gcc") or shutil.which("cc") or pytest.skip("no C compiler: apt install gcc libc6-dev")
        self._library, self._file = folder / "clockshift.so", folder / "clockshift"
        self._file.write_bytes(bytes(8))
        words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(SOURCE)]
        subprocess.run(words, check=True, capture_output=True, text=True)

    @property
    def environment(self) -> dict[str, str]:
        """For programs that are to live by this clock."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_SHIFT_FILE": str(self._file)}

    def jump(self, seconds: float) -> None:
        """Set how much it is ahead of the real clock, from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", round(1000 * seconds)))
