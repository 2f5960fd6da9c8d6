"""The system clock: units, direction, sleeping."""

import time

import anyio

from dispatcher.clock import Clock, SystemClock


def test_now_is_the_wall_clock_in_milliseconds() -> None:
    clock: Clock = SystemClock()
    before = int(time.time() * 1000)
    now = clock.now_ms()
    assert isinstance(now, int)
    assert before - 1 <= now <= int(time.time() * 1000) + 1


def test_monotonic_never_goes_back() -> None:
    clock = SystemClock()
    moments = [clock.monotonic() for _ in range(1000)]
    assert moments == sorted(moments)


def test_sleep_waits_that_long_and_takes_what_is_past() -> None:
    async def scenario() -> float:
        clock = SystemClock()
        await clock.sleep(-5)
        began = clock.monotonic()
        await clock.sleep(0.02)
        return clock.monotonic() - began

    assert anyio.run(scenario) >= 0.02
