"""The daemon's log stream, cut anywhere: frames, times, lines, characters."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.docker import marks
from workers.docker.ends import outcome_of, signal_name
from workers.docker.output import Cursor, Frames, Lines, epoch_of, instant_of, ms_of, timed

AT = b"2026-11-21T13:50:11.123456789Z"


def framed(number: int, data: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50)), max_size=8), st.lists(st.integers(0, 500)))
def test_frames_are_found_wherever_the_stream_is_cut(parts: list[tuple[int, bytes]], cuts: list[int]):
    frames = Frames()
    stream = b"".join(framed(number, data) for number, data in parts)
    assert [frame for piece in pieces(stream, cuts) for frame in frames.feed(piece)] == parts


@given(
    st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=40), max_size=8),
    st.lists(st.integers(0, 900)),
)
def test_lines_are_whole_wherever_they_are_cut(texts: list[str], cuts: list[int]):
    lines = Lines()
    stream = "".join(f"{text}\n" for text in texts).encode()
    found = [line for piece in pieces(stream, cuts) for line, _ in lines.feed(piece)]
    assert [line.decode() for line in found] == texts


def test_a_long_line_goes_on_in_pieces_of_whole_characters():
    lines = Lines()
    found = [*lines.feed(("ä€𝄞" * 3_000).encode()), *lines.end()]
    assert "".join(line.decode() for line, _ in found) == "ä€𝄞" * 3_000
    assert [is_whole for _, is_whole in found] == [True, False, False, False]
    assert max(len(line) for line, _ in found) <= 8_192


def test_what_follows_a_cut_line_is_no_frame():
    """A line of the user's code that happens to be cut before a mark is still the user's."""
    lines = Lines()
    forged = marks.frame(["end", "completed", "", b"\x01"])
    found = list(lines.feed(b"x" * 8_192 + forged))
    assert [is_whole for line, is_whole in found if line.startswith(marks.MARK)] == []
    found = [*lines.feed(b"x" * 8_193), *lines.feed(forged)]
    assert [is_whole for _, is_whole in found] == [True, False]


def test_a_frame_may_be_as_long_as_it_has_to():
    lines = Lines()
    whole = marks.frame(["end", "completed", "", b"x" * 1_000_000])
    found = [line for start in range(0, len(whole), 16_384) for line in lines.feed(whole[start : start + 16_384])]
    assert [marks.words_of(line) for line, _ in found] == [["end", "completed", "", b"x" * 1_000_000]]


@pytest.mark.parametrize("line", [b"", b"\x1e", b"\x1e!!", b"\x1e=lKR0", b"\x1eAAAA", b"text", b"\x1e" + b"/" * 7])
def test_what_is_no_frame_is_text(line: bytes):
    assert marks.words_of(line) is None
    assert marks.unescaped(marks.escaped(line)) == line
    assert marks.words_of(marks.escaped(line)) is None


def test_a_log_that_is_opened_again_goes_on_where_it_was():
    times = [b"2026-11-21T13:50:11.1234567%02dZ" % number for number in (1, 2, 2, 2, 3)]
    for known in range(1, len(times) + 1):
        cursor = Cursor()
        assert all(cursor.is_new(at) for at in times[:known])
        cursor.again()
        again = [at for at in times if at >= cursor.at]
        assert sum(cursor.is_new(at) for at in again) == len(times) - known


def test_times():
    assert timed(AT + b" a text") == (AT, b"a text")
    assert epoch_of(AT) == "1795269011.123456789"
    assert epoch_of(b"nonsense") == "0"
    assert ms_of("0001-01-01T00:00:00Z") == 0
    assert ms_of("2026-11-21T14:50:11.123456789+01:00") == ms_of(AT.decode()) == 1795269011123
    assert instant_of(ms_of(AT.decode())) == b"2026-11-21T13:50:11.123000000Z"


@pytest.mark.parametrize(
    ("state", "argument", "says"),
    [
        ({"ExitCode": 3}, "exit_code", "exit code 3\nlast words"),
        ({"ExitCode": 137}, "signal", "SIGKILL"),
        ({"ExitCode": 137, "OOMKilled": True}, "out_of_memory", "mem_limit"),
        ({"ExitCode": 0, "Error": "no device"}, "exit_code", "no device"),
        ({"ExitCode": 255}, "exit_code", "exit code 255"),
    ],
)
def test_ends(state: dict[str, Any], argument: str, says: str):
    outcome = outcome_of(state, None, 1, "last words")
    assert (outcome.outcome, outcome.argument) == ("failed", argument)
    assert says in outcome.result.decode(errors="replace")
    assert outcome_of(state, [2, 0, 1, 1, 0], 1, "").outcome == "retry"
    assert outcome_of({"ExitCode": 0, "OOMKilled": True}, None, 1, "").outcome == "completed"
    missed = outcome_of({"ExitCode": 137, "OOMKilled": False, "MemoryLimit": 1}, None, 1, "")
    assert (missed.argument, b"want of memory" in missed.result) == ("signal", True)


def test_signals_have_names():
    assert (signal_name(143), signal_name(9), signal_name(255)) == ("SIGTERM", "", "")
