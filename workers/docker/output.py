"""What the daemon's log stream holds: frames of two streams, times, whole lines. Bytes in, lines out; no waiting."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from . import marks

STDOUT, STDERR = 1, 2
_HEAD = 8
_LONGEST = 8_192


class Frames:
    """Cuts a multiplexed stream: stream number and data of each part that a container wrote."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that are whole now."""
        data = self._rest + data if self._rest else data
        start, size = 0, len(data)
        while size - start >= _HEAD:
            end = start + _HEAD + int.from_bytes(data[start + 4 : start + _HEAD], "big")
            if end > size:
                break
            yield data[start], data[start + _HEAD : end]
            start = end
        self._rest = data[start:]


@dataclass
class Cursor:
    """How far a log was read. Several parts may have the same time: those of one long line."""

    at: bytes = b""
    count: int = 0
    _skipping: int = 0

    @property
    def since(self) -> str:
        """Where to go on, as the daemon takes it: seconds and nanoseconds."""
        return epoch_of(self.at) if self.at else "0"

    def again(self) -> None:
        """The stream is opened anew: what was read of the last instant comes once more."""
        self._skipping = self.count

    def is_new(self, at: bytes) -> bool:
        """Count a part; whether it was not read before."""
        if at < self.at:
            return False
        if at > self.at:
            self.at, self.count, self._skipping = at, 1, 0
            return True
        if self._skipping:
            self._skipping -= 1
            return False
        self.count += 1
        return True


class Lines:
    """Makes lines of the parts of one stream. A line above 8 KB goes on in pieces, cut between characters."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_cut = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """The lines that are whole now, and whether each is a line from its beginning."""
        *whole, rest = (self._rest + data).split(b"\n")
        for line in whole:
            yield line, not self._is_cut
            self._is_cut = False
        most = marks.LONGEST if rest[:1] == marks.MARK and not self._is_cut else _LONGEST
        while len(rest) > most:
            cut = _between_characters(rest, _LONGEST)
            yield rest[:cut], not self._is_cut
            rest, self._is_cut, most = rest[cut:], True, _LONGEST
        self._rest = rest

    def end(self) -> Iterator[tuple[bytes, bool]]:
        """What waits for the end of its line."""
        if self._rest:
            yield self._rest, not self._is_cut
        self._rest, self._is_cut = b"", False


def _between_characters(data: bytes, at: int) -> int:
    """The last place up to there where no character of UTF-8 is cut in two."""
    for back in range(4):
        if data[at - back] & 0xC0 != 0x80:
            return at - back
    return at


def timed(part: bytes) -> tuple[bytes, bytes]:
    """The time and the text of a part."""
    at, _, text = part.partition(b" ")
    return at, text


def epoch_of(at: bytes) -> str:
    """A time of the daemon as seconds since 1970, with all its digits."""
    whole, _, fraction = at.decode("ascii", "replace").rstrip("Z").partition(".")
    try:
        seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return "0"
    return f"{seconds}.{fraction or '0':0<9}"


def instant_of(now_ms: int) -> bytes:
    """An instant as the daemon writes it, so that the two can be compared."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


def ms_of(at: str) -> int:
    """An instant of the daemon in ms since 1970; 0 for none."""
    return max(0, int(1000 * datetime.fromisoformat(at).timestamp()))
