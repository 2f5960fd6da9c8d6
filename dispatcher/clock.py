"""The clock: the only module that asks what time it is.

Deadlines that several machines share are decided by the clock of Redis, inside scripts. This clock serves local timers
and local distrust ("is my lease still surely mine?"), and tests and simulations put another one in its place.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a part may know about time."""

    def now_ms(self) -> int:
        """Return the wall clock in milliseconds since 1970. It may jump in either direction."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment. It never goes back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`, at once when there are none left, and let other tasks run in any case."""
        ...


class SystemClock:
    """The clock of this machine."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Return the wall clock in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds since some fixed moment, unmoved by changes of the wall clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(max(seconds, 0.0))
