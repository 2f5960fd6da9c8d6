"""Frames between a worker and the relay in a container (inside.py): lines, in both directions.

A frame is a mark, base64 of msgpack, a line's end; its words are those of line.py. It is the container's stdout that
carries them, so the daemon keeps them with its log: what was said is not lost when a worker dies. A line that the
user's code begins with the mark is escaped, so that only the relay speaks for it.
"""

import base64
import binascii
from typing import Any

from dispatcher import codec
from dispatcher.errors import InvalidInput

from ..line import FRAME_LIMIT

MARK = b"\x1e"
ESCAPE = b"\x1e="
LONGEST = FRAME_LIMIT * 4 // 3 + 16


def marked(packed: bytes) -> bytes:
    """A frame of words that are packed already."""
    return MARK + base64.b64encode(packed) + b"\n"


def frame(words: list[Any]) -> bytes:
    """A frame."""
    return marked(codec.pack(words))


def packed_of(line: bytes) -> bytes | None:
    """What a line without its end carries; None for one that is no frame."""
    if line[:1] != MARK or line[:2] == ESCAPE:
        return None
    try:
        return base64.b64decode(line[1:].rstrip(b"\r"), validate=True)
    except binascii.Error:
        return None


def words_of(line: bytes) -> list[Any] | None:
    """The words of a frame; None for a line that is none."""
    packed = packed_of(line)
    if not packed:
        return None
    try:
        found = codec.unpack(packed, FRAME_LIMIT)
    except (InvalidInput, ValueError, TypeError):
        return None
    return list(found) if isinstance(found, list | tuple) and found else None


def escaped(line: bytes) -> bytes:
    """A line of the user's code, as it is passed on."""
    return ESCAPE + line if line[:1] == MARK else line


def unescaped(line: bytes) -> bytes:
    """A line of the user's code, as it was written."""
    return line[2:] if line[:2] == ESCAPE else line
