"""A worker's own view of its lease: counted on its clock from before it asked, so it ends before the server's."""

from dispatcher.clock import Clock

MARGIN = 0.1
"""Share of the lease that is not trusted, for clocks that run at different speeds and news that travels."""


class Lease:
    """Trusted until a margin before it ends, renewed by each answer."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = 0.0

    def asked(self) -> float:
        """When a renewal is about to be sent."""
        return self._clock.monotonic()

    def renewed(self, asked: float) -> None:
        """The renewal sent at `asked` was answered."""
        self._until = max(self._until, asked + self.seconds * (1 - MARGIN))

    @property
    def left(self) -> float:
        """Seconds it may still be trusted; 0 or less when not."""
        return self._until - self._clock.monotonic()
