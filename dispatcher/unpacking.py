"""msgpack from anybody, read within bounds: size before anything is decoded, then depth and number of what it holds.

What may go out may come in: what is packed is held to the same bounds, so nothing is written that nobody could read.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgpack

from .errors import DecodeError, InvalidInput, PayloadTooLarge

HARD_LIMIT = 1024 * 1024
DEEPEST = 512
"""Lists and maps inside each other: half of what the library can, and what JSON can show. Intake takes 100."""
MOST = 250_000
"""Lists and maps in all. 1 MB of empty maps would be a million of them, 80 MB and half a second."""
_HOLDING = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
"""Bytes that begin a list or a map. Texts and numbers hold them too: as many as there are, there may be."""
_TIMESTAMPS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")
_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})


def unpack(
    data: bytes, limit: int = HARD_LIMIT, *, raw: bool = False, unicode_errors: Literal["strict", "replace"] = "strict"
) -> Any:
    """The value of those bytes. Raises PayloadTooLarge and DecodeError, nothing else, whatever the bytes are.

    With `raw`, texts are bytes.
    """
    if type(data) is not bytes and not isinstance(data, bytearray):  # a field of something else that was decoded
        raise DecodeError(f"not the msgpack of a run, but a {type(data).__name__}")
    size = len(data)
    if size > limit:
        raise PayloadTooLarge(size, limit)
    holding = _at_most(data) if size > DEEPEST else 0
    try:
        if holding > MOST:
            value = _counted(data, raw=raw, unicode_errors=unicode_errors)
        else:
            value = msgpack.unpackb(
                data, raw=raw, unicode_errors=unicode_errors, strict_map_key=False, ext_hook=_refuse_extension
            )
        if holding > DEEPEST:
            check_value(value, DecodeError)
        if b"\xff" in data and any(mark in data for mark in _TIMESTAMPS):  # perhaps: numbers hold these bytes too
            _refuse_timestamps(value)
    except DecodeError:
        raise
    except Exception as error:  # hostile bytes raise all sorts: stack, overflow, Unicode, value, memory
        raise DecodeError(f"not the msgpack of a run: {type(error).__name__} {error}"[:400]) from error
    return value


def check_packed(
    packed: bytes, value: Any, plain: Callable[[Any], Any], fault: type[InvalidInput] = InvalidInput
) -> None:
    """Raise the fault where `unpack` would refuse what was packed; `plain` is how other types were written."""
    if len(packed) > DEEPEST and _at_most(packed) > DEEPEST:
        check_value(value, fault, plain)


def check_value(value: Any, fault: type[InvalidInput], plain: Callable[[Any], Any] | None = None) -> None:
    """Raise the fault for a value that is nested too deeply or holds too much; level by level, so it needs no stack."""
    level, depth, count = [value], 0, 0
    while level:
        below: list[Any] = []
        holding = 0
        for item in level:
            kind = type(item)
            if kind in _PLAIN:
                continue
            found = _children(item if plain is None or kind in (dict, list, tuple) else plain(item))
            if found is not None:
                holding += 1
                below += found
        depth += holding > 0
        count += holding
        if depth > DEEPEST:
            raise fault(f"it is nested deeper than {DEEPEST} levels")
        if count > MOST:
            raise fault(f"it holds more than {MOST:,} lists and maps: pass large data by reference")
        level = below


def _children(item: Any) -> Iterable[Any] | None:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list | tuple) else None


def _at_most(data: bytes) -> int:
    """A bound of how many lists and maps these bytes can hold."""
    return len(data) - len(data.translate(None, _HOLDING))


def _counted(data: bytes, **how: Any) -> Any:
    """The value, where there may be too much in it: counted while it is made."""
    numbers = itertools.count(1)

    def made(value: Any) -> Any:
        if next(numbers) > MOST:
            raise DecodeError(f"it holds more than {MOST:,} lists and maps")
        return value

    return msgpack.unpackb(
        data, strict_map_key=False, ext_hook=_refuse_extension, list_hook=made, object_hook=made, **how
    )


def _refuse_timestamps(value: Any) -> None:
    """The library reads this one extension without asking."""
    left = [value]
    while left:
        found = left.pop()
        if isinstance(found, msgpack.Timestamp):
            _refuse_extension(-1, b"")
        if isinstance(found, dict):
            left += [*found, *found.values()]
        elif isinstance(found, list | tuple):
            left += found


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise DecodeError(f"not the msgpack of a run: extension type {code} is not allowed")
