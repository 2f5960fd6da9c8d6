"""What a child that is guided leaves behind, however it ends: how much it tried, and what it was trying.

A file that is mapped into memory: also a process that is killed, or leaves by `os._exit`, has written its last input.
"""

import mmap
import struct
from pathlib import Path
from typing import Self

LONGEST = 16_384
"""Bytes of an input. Structures are a few hundred; what large ones cost is another test."""
_HEADER = struct.Struct("<QQQ?I")
_MOST_WORDS = 1_000


class Trial:
    """Counts of what was read and refused, the slowest, whether an input is being read just now, and that input."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(b"\0" * (_HEADER.size + _MOST_WORDS + LONGEST))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.read, self.refused, self.slowest_us, self.is_busy, self._length = _HEADER.unpack_from(self._map)

    @property
    def tried(self) -> int:
        """How many inputs came to an end."""
        return self.read + self.refused

    @property
    def words(self) -> str:
        """What was said of the fault, '' when there was none or nobody was left to say it."""
        return self._map[_HEADER.size :][:_MOST_WORDS].rstrip(b"\0").decode(errors="replace")

    @property
    def data(self) -> bytes:
        """The last input."""
        return self._map[_HEADER.size + _MOST_WORDS :][: self._length]

    def begin(self, data: bytes) -> None:
        """Note what is about to be read."""
        begin = _HEADER.size + _MOST_WORDS
        self._map[begin : begin + len(data)] = data
        self._length, self.is_busy = len(data), True
        self._write()

    def end(self, took: float, *, is_read: bool) -> None:
        """Note that it was read or refused, and how long that took, in seconds."""
        self.read, self.refused = self.read + is_read, self.refused + (not is_read)
        self.slowest_us, self.is_busy = max(self.slowest_us, int(1_000_000 * took)), False
        self._write()

    def fail(self, words: str) -> None:
        """Note what it did that nothing may."""
        told = words.encode(errors="replace")[:_MOST_WORDS]
        self._map[_HEADER.size : _HEADER.size + len(told)] = told

    def _write(self) -> None:
        _HEADER.pack_into(self._map, 0, self.read, self.refused, self.slowest_us, self.is_busy, self._length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()
