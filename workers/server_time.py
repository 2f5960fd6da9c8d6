"""The server's clock as a worker knows it: as its last turn said, and what has gone by since, from both sides."""

import math

from dispatcher.clock import Clock

_SLACK = 0.05
"""Seconds; for clocks that run at different speeds, and whole milliseconds."""


class ServerTime:
    """The server's time lies between what it said when the reply came, and when the call was made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: tuple[int, float, float] | None = None

    def heard(self, now_ms: int, asked: float) -> None:
        """The reply to a call that was made at `asked` (by our monotonic clock) said what time it is."""
        self._said = (now_ms, asked, self._clock.monotonic())

    def ahead_seconds(self) -> float:
        """By how much the wall clock of this machine is ahead of the server's; nan before anything was heard."""
        if self._said is None:
            return math.nan
        now_ms, _, heard = self._said
        return (self._clock.now_ms() - now_ms) / 1000 - (self._clock.monotonic() - heard)

    def seconds_until(self, at_ms: int) -> float:
        """Seconds from now to a moment of the server, never too few; 0 or less when it came, or nothing was heard."""
        if self._said is None:
            return 0.0
        now_ms, _, heard = self._said
        return (at_ms - now_ms) / 1000 - (self._clock.monotonic() - heard)

    def is_within(self, seconds: float, at_ms: int) -> bool:
        """Whether a moment of the server was surely not longer ago than that.

        Not when nothing was heard yet, and not for one that is still to come: then the server's clock was set.
        """
        if self._said is None:
            return False
        now_ms, asked, _ = self._said
        return -_SLACK <= (now_ms - at_ms) / 1000 + (self._clock.monotonic() - asked) <= seconds
