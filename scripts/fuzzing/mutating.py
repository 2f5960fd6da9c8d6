"""Inputs: valid documents with a few things wrong, and now and then nothing that was ever valid."""

import random
from collections.abc import Callable, Sequence

_ODD = bytes.fromhex("00 01 7f 80 81 8f 90 91 a0 c0 c1 c4 c7 ca cf d6 d7 dc df ff")
_BOMBS = (
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01", b"\xd6\xff\0\0\0\0", b"\xd7\xff" + b"\xff" * 8, b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\0" * 7, b"\xcb\x7f\xf8" + b"\0" * 6, b"\xcb\x7f\xf0" + b"\0" * 6,
    b"\xed\xa0\x80", b"1e999", b"-0", b"9" * 400, b"NaN", b"null", b"\\ud800", b"\xef\xbb\xbf", b"&a [*a]", b"<<: *x",
    b"!!python/object/apply:os.system [x]", b"\0", b"\x1b[31m", b"../" * 9, b"{{ $X }}",
)  # fmt: skip
_DEEP = (b"\x91", b"\x81\xa1a", b"[", b'{"a":', b"{a: ", b"- ")
Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def _flip(chance: random.Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _replace(chance: random.Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(_ODD)


def _cut(chance: random.Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    del data[begin : begin + chance.choice((1, 2, 8, 1_000_000))]


def _insert(chance: random.Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    data[begin:begin] = chance.choice(_BOMBS)


def _repeat(chance: random.Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    part = data[begin : begin + chance.randrange(1, 12)]
    data[begin:begin] = part * chance.choice((1, 2, 30))


def _splice(chance: random.Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other) + 1) :]


def _nest(chance: random.Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    data[begin:begin] = chance.choice(_DEEP) * chance.choice((3, 99, 130, 600, 1_100))


def _noise(chance: random.Random, data: bytearray, _seeds: Sequence[bytes]) -> None:
    data[:] = chance.randbytes(chance.randrange(64))


_MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _replace, _replace, _cut, _insert, _insert, _repeat, _splice)
_RARE: tuple[Mutation, ...] = (_nest, _noise)


def mutated(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to four things wrong; some are deep, some are noise."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 4))):
        rare = chance.random() < 0.02
        chance.choice(_RARE if rare else _MUTATIONS)(chance, data, seeds)
    return bytes(data)
