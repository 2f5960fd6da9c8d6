"""Bytes from outside: bounded before they are read, refused with one kind of error, whatever they are."""

import importlib.util
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher import codec
from dispatcher.errors import DecodeError, InvalidInput, PayloadTooLarge
from dispatcher.models import RunSpec
from dispatcher.unpacking import DEEPEST, HARD_LIMIT, MOST, unpack

ROOT = Path(__file__).resolve().parents[2]
GUIDED = 40_000 if importlib.util.find_spec("atheris") else 0
"""Of the two hundred thousand; they are in test_guided.py."""
INPUTS, SHARES = 200_000 - GUIDED, 4
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine, too."""


@given(VALUES)
@CALM
def test_what_is_packed_can_be_read(value: object):
    assert codec.unpack(codec.pack(value)) == value


@given(st.binary(max_size=300))
@settings(CALM, max_examples=300)
def test_any_bytes_are_read_or_refused_with_one_kind_of_error(data: bytes):
    for read in (codec.unpack, codec.decode_spec, codec.decode_record, codec.decode_facts):
        try:
            read(data)
        except DecodeError as error:
            assert str(error)


@given(st.lists(VALUES, max_size=24))
@settings(CALM, max_examples=200)
def test_any_array_is_a_spec_or_refused(row: list[object]):
    try:
        assert isinstance(codec.decode_spec(codec.pack(row)), RunSpec)
    except DecodeError as error:
        assert str(error)


@pytest.mark.parametrize("share", range(SHARES))
def test_two_hundred_thousand_hostile_inputs_do_nothing_but_get_refused(share: int):
    """A million: `scripts/fuzz`. A fault is told with its bytes; the seed tries the same inputs again."""
    command = [sys.executable, "scripts/fuzzing/__main__.py", "--inputs", str(INPUTS // SHARES), "--seed", str(share)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    print(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{INPUTS // SHARES:,} inputs of seed {share}: 0 faults" in ended.stdout


@pytest.mark.parametrize(
    "fault", [RuntimeError("x"), RecursionError(), MemoryError(), SystemExit(1), KeyError("k")], ids=repr
)
def test_a_decoder_that_raises_anything_else_would_be_found(fault: BaseException, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from fuzzing.running import fuzz
    from fuzzing.target import Target

    def read(data: bytes) -> None:
        if data:
            raise fault

    assert fuzz(50, 1, [Target("broken", read, [b"abc"])]).faults


def nested(levels: int) -> bytes:
    return b"\x91" * levels + b"\x01"


def test_nesting_has_a_bound_that_what_is_packed_keeps():
    assert unpack(nested(DEEPEST))
    for levels in (DEEPEST + 1, 1023, 100_000):
        with pytest.raises(DecodeError):
            unpack(nested(levels))
    value: object = 1
    for _ in range(DEEPEST + 1):
        value = [value]
    with pytest.raises(InvalidInput):
        codec.pack(value)


LISTS = struct.Struct(">BI")


@pytest.mark.parametrize(
    "data",
    [
        LISTS.pack(0xDD, HARD_LIMIT - 5) + b"\x80" * (HARD_LIMIT - 5),
        LISTS.pack(0xDD, HARD_LIMIT - 5) + b"\x90" * (HARD_LIMIT - 5),
        LISTS.pack(0xDD, (HARD_LIMIT - 5) // 3) + b"\x81\x01\x02" * ((HARD_LIMIT - 5) // 3),
        LISTS.pack(0xDD, HARD_LIMIT // 101) + (b"\xdc\0\x62" + b"\x80" * 98) * (HARD_LIMIT // 101),
    ],
    ids=["empty maps", "empty lists", "small maps", "nested lists of empty maps"],
)
def test_a_megabyte_of_maps_is_given_up_before_it_fills_the_memory(data: bytes):
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(DecodeError, match=f"{MOST:,} lists and maps"):
        unpack(data)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 150
    assert time.process_time() - began < 5


def test_what_would_not_be_read_is_not_packed_either():
    with pytest.raises(InvalidInput, match="lists and maps"):
        codec.pack([[]] * (MOST + 1))
    assert len(codec.unpack(codec.pack([[]] * (MOST - 1)))) == MOST - 1


def test_text_and_bytes_that_look_like_maps_are_no_maps():
    value = ["\u0080" * 250_000, b"\x80" * 400_000]
    assert codec.unpack(codec.pack(value)) == value


@pytest.mark.parametrize("bomb", [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"], ids=bytes.hex)
def test_a_length_that_is_not_there_costs_nothing(bomb: bytes):
    with pytest.raises(DecodeError):
        unpack(bomb + b"\xff\xff\xff\xff")


def test_a_frame_over_the_limit_is_not_read():
    with pytest.raises(PayloadTooLarge):
        unpack(b"\xc0" * (HARD_LIMIT + 1))


FIELDS: list[tuple[str, object]] = [
    ("function", 3), ("parameters", [1]), ("parameters", {1: 2}), ("retry", [1, "x"]), ("retry", [1] * 6),
    ("retry", {}),
    ("timeout", "soon"), ("timeout", float("nan")), ("tags", "abc"), ("tags", [1]), ("command", [b"x"]), ("command", 5),
    ("at", "now"), ("at", 2**63), ("at", -1), ("expires_at", 1.5), ("job_variables", "x"), ("pull", [1]), ("pull", {}),
    ("traceparent", 1), ("entrypoint", ["a"]), ("name", b"x"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), FIELDS, ids=lambda given: str(given)[:20])
def test_a_field_of_a_spec_that_holds_something_else_is_named(field: str, value: object):
    row: list[object] = [None] * len(codec.SPEC_FIELDS)
    row[codec.SPEC_FIELDS.index(field)] = value
    with pytest.raises(DecodeError, match=f"a run's {field} is not"):
        codec.decode_spec(msgpack.packb(row))


def test_fields_of_a_newer_release_are_left_out():
    row = ["add", {"a": 1}, *[None] * (len(codec.SPEC_FIELDS) - 2), {"of": "a newer release"}]
    assert codec.decode_spec(msgpack.packb(row)).function == "add"


READERS: dict[str, Callable[[bytes], object]] = {"record": codec.decode_record, "facts": codec.decode_facts}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\x01\x08" + b"\xff" * 12, b"\x93\x01\x02\x03", b"\x9b" + b"\xc0" * 10], ids=bytes.hex
)
def test_a_record_that_is_cut_is_refused(name: str, data: bytes):
    with pytest.raises(DecodeError):
        READERS[name](data)
