"""What a worker has still to write of the log of one claim: lines, and how many were cut between them."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dispatcher.codec import pack
from dispatcher.models import LEVELS
from dispatcher.redaction import hide_passwords
from dispatcher.store import LogChunk

if TYPE_CHECKING:
    import asyncio

LONGEST_LINE = 8_192
CHUNK_LINES, CHUNK_BYTES = 512, 64 * 1024
LOG_LINES, LOG_BYTES = 10_000, 1_000_000
"""What a log holds, see log.lua: more than this of one claim need not wait to be written."""
_OTHER_LEVELS = {"critical": "error", "fatal": "error", "warn": "warning"}

Line = tuple[int, str, str]


def level_of(word: str) -> str:
    """One of LEVELS; what is no level is told as info."""
    return word if word in LEVELS else _OTHER_LEVELS.get(word, "info")


def lines_of(text: str) -> Iterator[tuple[str, int]]:
    """The lines of a text, long ones in pieces, with their bytes; passwords in addresses are hidden."""
    for line in hide_passwords(text.removesuffix("\n")).split("\n"):
        whole = line.removesuffix("\r")
        for start in range(0, len(whole) or 1, LONGEST_LINE):
            yield _sized(whole[start : start + LONGEST_LINE])


def count_of(text: str) -> int:
    """How many lines `lines_of` makes of it."""
    return text.count("\n") + 1 if len(text) <= LONGEST_LINE else sum(1 for _ in lines_of(text))


def _sized(text: str) -> tuple[str, int]:
    if text.isascii():
        return text, len(text)
    data = text.encode("utf-8", "replace")  # halves of surrogate pairs are no text
    return data.decode(), len(data)


@dataclass(slots=True)
class Chunk:
    """Lines that are written at once; `cut` lines were lost before them. It has a sequence once it was sent."""

    cut: int = 0
    lines: list[Line] = field(default_factory=list)
    size: int = 0
    sequence: int = 0

    @property
    def amount(self) -> int:
        """Lines it accounts for."""
        return self.cut + len(self.lines)

    def give_up(self) -> None:
        """Only count its lines from now on. The sequence stays: if it was written after all, nothing counts twice."""
        self.cut, self.lines, self.size = self.amount, [], 0


class ClaimLog:
    """The part of a claim's log that is not written yet. Not thread-safe."""

    def __init__(self, run_id: str, token: str) -> None:
        self.run_id, self.token = run_id, token
        self.chunks: deque[Chunk] = deque()
        self.lines = self.size = 0
        self.taken = self.answered = 0
        self.is_full = self.is_closed = False
        self.waiters: list[tuple[int, asyncio.Future[bool]]] = []

    @property
    def is_unwanted(self) -> bool:
        """Nothing more of it is kept: it is full, or not this claim's any more."""
        return self.is_full or self.is_closed

    def has_room(self, size: int) -> bool:
        """Whether a line of that size may wait here."""
        return not self.is_unwanted and self.lines < LOG_LINES and self.size + size <= LOG_BYTES

    def add(self, line: Line, size: int) -> None:
        """Let a line wait to be written."""
        chunk = self._open()
        if len(chunk.lines) == CHUNK_LINES or chunk.size + size > CHUNK_BYTES:
            chunk = Chunk()
            self.chunks.append(chunk)
        chunk.lines.append(line)
        chunk.size += size
        self.lines += 1
        self.size += size
        self.taken += 1

    def cut(self, amount: int) -> None:
        """Count lines that are not kept."""
        if self.is_closed:
            return
        chunk = self._open()
        if chunk.lines:
            chunk = Chunk()
            self.chunks.append(chunk)
        chunk.cut += amount
        self.taken += amount

    def _open(self) -> Chunk:
        """The last chunk, unless it was sent."""
        if not self.chunks or self.chunks[-1].sequence:
            self.chunks.append(Chunk())
        return self.chunks[-1]

    def as_sent(self, sequence: int) -> LogChunk:
        """The first chunk, to be sent; from now on nothing is added to it."""
        chunk = self.chunks[0]
        chunk.sequence = chunk.sequence or sequence
        packed = pack(chunk.lines) if chunk.lines else b""
        count = len(chunk.lines)
        return LogChunk(self.run_id, self.token, chunk.sequence, chunk.cut, count, chunk.size, packed)

    def give_up(self) -> None:
        """Only count the lines of the first chunk."""
        self._release(self.chunks[0])
        self.chunks[0].give_up()

    def was_answered(self, status: str) -> None:
        """The first chunk was taken, or will never be."""
        chunk = self.chunks.popleft()
        self._release(chunk)
        self.answered += chunk.amount
        if status in ("missing", "stale"):
            self.is_closed = True
            self.answered = self.taken
        self.is_full = self.is_full or status == "full"
        if self.is_unwanted and self.chunks:
            rest = self.taken - self.answered
            self.chunks.clear()
            self.lines = self.size = 0
            if rest:
                self.chunks.append(Chunk(cut=rest))
        self.wake(self.answered)

    def wake(self, answered: int) -> None:
        """Tell those who wait for what is answered up to there."""
        for target, future in self.waiters:
            if target <= answered and not future.done():
                future.set_result(target <= self.answered)
        self.waiters = [waiter for waiter in self.waiters if waiter[0] > answered]

    def _release(self, chunk: Chunk) -> None:
        self.lines -= len(chunk.lines)
        self.size -= chunk.size
