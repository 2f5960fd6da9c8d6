"""Bytes that are no run: refused, whatever they hold."""

import msgpack
import pytest

from dispatcher import InvalidInput, codec


@pytest.mark.parametrize(
    "value",
    [
        msgpack.Timestamp(1),
        [1, {"a": msgpack.Timestamp(2**33, 1)}],
        {msgpack.Timestamp(-5, 1): 1},
        msgpack.ExtType(5, b"x"),
    ],
    ids=str,
)
def test_extension_types_are_refused(value: object):
    with pytest.raises(InvalidInput, match="extension type"):
        codec.unpack(msgpack.packb(value))


@pytest.mark.parametrize("value", [b"\xd6\xff", {"a": b"\xc7\x0c\xff"}, [-1, 2**63, "\u00ff"]], ids=repr)
def test_values_that_hold_the_same_bytes_are_not(value: object):
    assert codec.unpack(codec.pack(value)) == value


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"\x91" * 3000 + b"\x01", b"\xa2\xff\xff", b"\x01\x02"])
def test_what_is_not_msgpack_is_refused(data: bytes):
    with pytest.raises(InvalidInput, match="not the msgpack of a run"):
        codec.unpack(data)


@pytest.mark.fault(36)
def test_what_is_too_large_is_not_even_read():
    with pytest.raises(codec.PayloadTooLarge):
        codec.unpack(b"\x80" * (codec.HARD_LIMIT + 1))
