"""Run ids: 32 lowercase hexadecimal digits that sort by the time they were made.

A new run gets a UUIDv7 (RFC 9562) from its publisher. A run that follows from something else (an occurrence of a
schedule, an entry of a publish stream) gets a UUIDv8 of cause and target, so that making it twice makes it once.
"""

import hashlib
import os
import random
import threading

from .clock import Clock, SystemClock

_COUNTER_BITS = 42  # 12 bits beside the version, 30 behind the variant
_LOW_BITS = 30
_LOW_MASK = (1 << _LOW_BITS) - 1
_TAIL_BITS = 32
_VERSION_7 = 0x7 << 76
_VERSION_8 = 0x8 << 76
_VARIANT = 0b10 << 62
_VERSION_AND_VARIANT = (0xF << 76) | (0b11 << 62)


class RunIds:
    """A generator of ids; each one is greater than the one before, also when the clock goes back. Thread-safe.

    A fresh millisecond starts its counter at a random 41-bit number, so processes that publish in the same millisecond
    differ by 73 random bits; the 42nd bit leaves room for 2^41 ids before the counter would run over.
    """

    __slots__ = ("_clock", "_counter", "_lock", "_ms", "_random")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.reseed()

    def reseed(self) -> None:
        """Start anew with fresh randomness and a lock that nobody holds: what a forked child must do."""
        self._lock = threading.Lock()
        self._random = random.Random(os.urandom(32))  # noqa: S311 - ids are unique, not secret
        self._ms = 0
        self._counter = 0

    def new(self) -> str:
        """Return the next id."""
        now = self._clock.now_ms()
        with self._lock:
            if now > self._ms:
                self._ms = now
                self._counter = counter = self._random.getrandbits(_COUNTER_BITS - 1)
            else:
                self._counter = counter = self._counter + 1
            tail = self._random.getrandbits(_TAIL_BITS)
            head = self._ms << 80
        high = (counter >> _LOW_BITS) << 64
        low = (counter & _LOW_MASK) << _TAIL_BITS
        return f"{head | _VERSION_7 | high | _VARIANT | low | tail:032x}"


def random_suffix(size: int) -> str:
    """Return `size` random bytes in hexadecimal digits: what makes the name of a worker or client one of its own."""
    return os.urandom(size).hex()


_run_ids = RunIds(SystemClock())
os.register_at_fork(after_in_child=_run_ids.reseed)

new_run_id = _run_ids.new


def derived_run_id(cause: str, target: str) -> str:
    """Return the id of the run that `cause` makes at `target`: always the same one (UUIDv8 of their SHA-256).

    The length of the cause is hashed too, so that no two pairs can be read as one.
    """
    text = f"{len(cause)}:{cause}{target}".encode(errors="surrogatepass")
    number = int.from_bytes(hashlib.sha256(text).digest()[:16])
    return f"{number & ~_VERSION_AND_VARIANT | _VERSION_8 | _VARIANT:032x}"


def published_at_ms(run_id: str) -> int:
    """Return when a UUIDv7 was made, in milliseconds since 1970; ValueError for any other id, derived ones included."""
    if len(run_id) != 32 or run_id[12] != "7":
        raise ValueError(f"{run_id!r} is not a UUIDv7 of 32 hexadecimal digits")
    return int(run_id[:12], 16)
