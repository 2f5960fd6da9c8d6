"""The server's clock as a worker knows it: as its last turn said, and what has gone by since. Never ahead of it."""

from dispatcher.clock import Clock


class ServerTime:
    """Behind the server's clock by the time that a reply travels, so nothing that waits for it is early."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: tuple[int, float] | None = None

    def heard(self, now_ms: int) -> None:
        """A reply said what time it is."""
        self._said = (now_ms, self._clock.monotonic())

    def ahead_seconds(self) -> float:
        """By how much the wall clock of this machine is ahead of the server's; nan before anything was heard."""
        if self._said is None:
            return float("nan")
        now_ms, heard = self._said
        return (self._clock.now_ms() - now_ms) / 1000 - (self._clock.monotonic() - heard)

    def seconds_until(self, at_ms: int) -> float:
        """Seconds from now to a moment of the server; 0 or less when it has come, or nothing was heard yet."""
        if self._said is None:
            return 0.0
        now_ms, heard = self._said
        return (at_ms - now_ms) / 1000 - (self._clock.monotonic() - heard)
