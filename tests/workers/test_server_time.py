"""What a worker knows of the server's clock."""

from workers.server_time import ServerTime


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now_ms(self) -> int:
        return int(1000 * self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def heard_at(now_ms: int) -> tuple[ServerTime, HandClock]:
    clock = HandClock()
    time = ServerTime(clock)
    time.heard(now_ms, asked=clock.monotonic() - 0.1)
    return time, clock


def test_nothing_is_within_any_time_before_the_server_was_heard():
    assert not ServerTime(HandClock()).is_within(3600, 0)


def test_a_moment_is_within_a_time_by_the_longest_that_it_may_be_ago():
    time, clock = heard_at(5000)
    assert time.is_within(0.35, 4800)
    assert not time.is_within(0.35, 4700)
    clock.seconds += 0.2
    assert not time.is_within(0.35, 4800)


def test_a_moment_that_is_still_to_come_tells_of_a_clock_that_was_set():
    """Ids of a stream never go back: after the server's clock did, an old letter looks like one of the future."""
    time, _ = heard_at(5000)
    assert time.is_within(0.35, 5100)
    assert not time.is_within(0.35, 3_605_000)
