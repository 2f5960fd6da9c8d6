"""The streams that processes wait for: inboxes, the bell, reply streams. Entries as XREAD gives them."""

from collections.abc import Callable
from typing import Any

import msgpack

from dispatcher import keys

Entry = tuple[bytes, dict[bytes, bytes]]


def encoded(value: Any) -> Any:
    """As a client gets it: texts as bytes, in lists too."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    return value


class Mailbox:
    """Streams by key. `woken` is called with the key of a stream that has a new entry."""

    def __init__(self, root: str, now_ms: Callable[[], int]) -> None:
        self._root, self._now = root, now_ms
        self.woken: Callable[[str], None] = lambda _: None
        self.streams: dict[str, list[Entry]] = {}
        self._last: dict[str, tuple[int, int]] = {}

    def add(self, key: str, words: list[Any], most: int = 10_000) -> str:
        """Field, value, ...; the id of the entry. An id is never below the one before, whatever the clock says."""
        ms, sequence = self._last.get(key, (0, 0))
        now = self._now()
        ms, sequence = (now, 0) if now > ms else (ms, sequence + 1)
        self._last[key] = ms, sequence
        flat = encoded([str(word) if isinstance(word, int) else word for word in words])
        entry = f"{ms}-{sequence}"
        stream = self.streams.setdefault(key, [])
        stream.append((entry.encode(), dict(zip(flat[::2], flat[1::2], strict=True))))
        del stream[:-most]
        self.woken(key)
        return entry

    def after(self, key: str, last: str, count: int | None = None) -> list[Entry]:
        """Entries behind that one."""
        behind = _numbers(last)
        return [entry for entry in self.streams.get(key, ()) if _numbers(entry[0].decode()) > behind][:count]

    def letter(self, worker: str, words: list[Any]) -> None:
        """Into a worker's inbox, which may be cut to its last letters."""
        self.add(keys.inbox(self._root, worker), words, 16)

    def ring(self, at: int) -> None:
        """The schedulers' bell."""
        self.add(keys.bell(self._root), ["at", at], 1)

    def told_end(self, client: str, run_id: str, facts: list[Any]) -> None:
        """A line in the reply stream of a client."""
        packed = msgpack.packb(facts, use_bin_type=False)
        self.add(keys.reply(self._root, client), ["run", run_id, "state", facts[0], "facts", packed])

    def forget(self, worker: str) -> None:
        """The inbox of a worker that is gone."""
        self.streams.pop(keys.inbox(self._root, worker), None)
        self._last.pop(keys.inbox(self._root, worker), None)


def _numbers(entry: str) -> tuple[int, int]:
    ms, _, sequence = entry.partition("-")
    return int(ms), int(sequence or 0)
