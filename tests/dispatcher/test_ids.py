"""Run ids: form, order, uniqueness across threads and forks, derivation."""

import os
import threading
import time
import uuid

import pytest

from dispatcher.ids import RunIds, derived_run_id, new_run_id, published_at_ms


class SetClock:
    """A wall clock that stands where it is put."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def test_a_new_id_is_a_uuid_of_version_7_in_plain_hex() -> None:
    run_id = new_run_id()
    parsed = uuid.UUID(hex=run_id)
    assert run_id == parsed.hex
    assert (run_id[12], parsed.variant) == ("7", uuid.RFC_4122)


def test_ids_grow_within_a_process() -> None:
    ids = [new_run_id() for _ in range(20_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_grow_when_the_clock_goes_back_and_follow_it_forward() -> None:
    clock = SetClock(1_700_000_000_000)
    ids = RunIds(clock)
    first = ids.new()
    clock.ms -= 60_000
    second = ids.new()
    clock.ms += 120_000
    third = ids.new()
    assert first < second < third
    assert published_at_ms(second) == 1_700_000_000_000
    assert published_at_ms(third) == 1_700_000_060_000


def test_a_counter_at_its_end_keeps_form_and_order() -> None:
    ids = RunIds(SetClock(1))
    ids.new()
    ids._counter = (1 << 41) - 1
    first, second = ids.new(), ids.new()
    assert first < second
    assert {uuid.UUID(hex=made).variant for made in (first, second)} == {uuid.RFC_4122}
    assert (first[12], second[12]) == ("7", "7")


def test_threads_never_make_the_same_id() -> None:
    made: list[list[str]] = [[] for _ in range(4)]

    def make(into: list[str]) -> None:
        into.extend(new_run_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run_id for ids in made for run_id in ids}) == 20_000
    assert all(ids == sorted(ids) for ids in made)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_makes_ids_of_its_own() -> None:
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, "".join(new_run_id() for _ in range(50)).encode())
        os._exit(0)
    ours = {new_run_id() for _ in range(50)}
    os.close(writer)
    text = b""
    while chunk := os.read(reader, 65_536):
        text += chunk
    os.close(reader)
    os.wait()
    theirs = {text[at : at + 32].decode() for at in range(0, len(text), 32)}
    assert len(theirs) == 50
    assert not ours & theirs
    assert not {run_id[20:] for run_id in ours} & {run_id[20:] for run_id in theirs}


def test_the_time_of_an_id_can_be_read() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= published_at_ms(new_run_id()) <= time.time_ns() // 1_000_000 + 1


def test_a_derived_id_depends_on_cause_and_target_alone() -> None:
    run_id = derived_run_id("schedule:daily", "2026-01-01T00:00Z")
    parsed = uuid.UUID(hex=run_id)
    assert run_id == derived_run_id("schedule:daily", "2026-01-01T00:00Z")
    assert run_id != derived_run_id("schedule:dail", "y2026-01-01T00:00Z")
    assert (run_id[12], parsed.variant, run_id) == ("8", uuid.RFC_4122, parsed.hex)


def test_a_derived_id_takes_any_text() -> None:
    assert len(derived_run_id("\udcff", "日本")) == 32


@pytest.mark.parametrize("wrong", ["", "x", derived_run_id("a", "b"), "7" * 31])
def test_only_a_version_7_id_tells_its_time(wrong: str) -> None:
    with pytest.raises(ValueError, match="not a UUIDv7"):
        published_at_ms(wrong)
