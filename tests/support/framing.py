"""Where one RESP message ends and the next begins, for commands and replies alike."""

_INCOMPLETE = -1
_AGGREGATES = {b"*": 1, b"~": 1, b">": 1, b"%": 2}  # elements for each counted one
_BULKS = b"$=!"


class Splitter:
    """Cuts a stream of bytes into whole messages: `feed` what came, take the messages that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that this data completes."""
        self._buffer += data
        messages: list[bytes] = []
        at = 0
        while (end := _end(self._buffer, at)) != _INCOMPLETE:
            messages.append(bytes(self._buffer[at:end]))
            at = end
        del self._buffer[:at]
        return messages


def _end(buffer: bytearray, at: int) -> int:
    """Return where the message that starts at `at` ends."""
    left = 1
    while left:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return _INCOMPLETE
        kind, number = bytes(buffer[at : at + 1]), bytes(buffer[at + 1 : line])
        at = line + 2
        left -= 1
        if kind in _AGGREGATES and number != b"-1":
            left += int(number) * _AGGREGATES[kind]
        elif kind in _BULKS and number != b"-1":
            at += int(number) + 2
    return at if at <= len(buffer) else _INCOMPLETE
