"""From the bytes of an entry to a value: JSON or msgpack, within bounds, every refusal with its reason.

Entries come from anybody. An entry has at most 1 MB when it comes here; that bounds time and memory. Both formats mean
the same: maps with text as names and no name twice, lists, text, numbers of 64 bits, true, false, null.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import msgpack

from ..errors import InvalidInput
from ..names import NAME

LARGEST = 1024 * 1024
"""Bytes of an entry that are read; intake.lua hands out no more."""
DEEPEST = 100
_FIELDS = (b"run", b"run.mp", b"reply")
_PLAIN = frozenset({str, bytes, int, float, bool, type(None), dict, list})
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN = 40


def read_entry(fields: tuple[bytes, ...]) -> Any:
    """What an entry's fields say. Raises InvalidInput."""
    found: dict[bytes, bytes] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name not in _FIELDS:
            raise InvalidInput(
                f"the field {_shown(name)} is not known: `run` (JSON) or `run.mp` (msgpack), and `reply`"
            )
        if name in found:
            raise InvalidInput(f"the field {_shown(name)} is there twice")
        found[name] = value
    if (b"run" in found) == (b"run.mp" in found):
        raise InvalidInput("an entry has one of the fields `run` (JSON) and `run.mp` (msgpack)")
    reply = found.get(b"reply")
    if reply is not None and not NAME.match(reply.decode(errors="replace")):
        raise InvalidInput(f"{_shown(reply)} is no name for `reply`: letters, digits, `.`, `_` and `-`, 63 at most")
    return read_json(found[b"run"]) if b"run" in found else read_msgpack(found[b"run.mp"])


def payload(fields: tuple[bytes, ...]) -> bytes:
    """The bytes of the run, with their format before them; of an entry that has been read."""
    found = dict(zip(fields[::2], fields[1::2], strict=True))
    return b"json " + found[b"run"] if b"run" in found else b"msgpack " + found[b"run.mp"]


def read_json(raw: bytes) -> Any:
    """A value in JSON. Raises InvalidInput."""
    _check_size(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"it is not UTF-8: {error.reason} at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise InvalidInput("it begins with a byte order mark: leave it out")
    value = _guarded("JSON", lambda: _DECODER(text))
    if raw.count(b"[") + raw.count(b"{") > DEEPEST:
        _check_shape(value)
    if _HALF.search(raw):
        _check_text(value)
    return value


def read_msgpack(raw: bytes) -> Any:
    """A value in msgpack. Raises InvalidInput."""
    _check_size(raw)
    value = _guarded("msgpack", lambda: msgpack.unpackb(raw, object_pairs_hook=_map, ext_hook=_refuse_extension))
    _check_shape(value)
    return value


def _check_size(raw: bytes) -> None:
    if len(raw) > LARGEST:
        raise InvalidInput(f"it is {len(raw):,} bytes, {LARGEST:,} are read at most: pass large data by reference")


def _guarded(format: str, decode: Callable[[], Any]) -> Any:
    """What a decoder says; whatever it raises becomes a reason."""
    try:
        return decode()
    except InvalidInput:
        raise
    except (RecursionError, msgpack.StackError):
        raise InvalidInput(_TOO_DEEP) from None
    except msgpack.ExtraData as error:
        raise InvalidInput(f"{len(error.extra):,} bytes follow its end: one map is wanted") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"a text in it is not UTF-8: {error.reason}") from None
    except ValueError as error:
        what = str(error) or type(error).__name__
        raise InvalidInput(f"it is no {format}: {what[:200]}") from None


_TOO_DEEP = f"it is nested deeper than {DEEPEST} levels"


def _map(pairs: Any) -> dict[str, Any]:
    """A map; no name twice, or two readers would read two runs."""
    if not pairs:
        return {}
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1) if len(names) < 1000 else "a name"
        raise InvalidInput(f"{str(twice)[:_SHOWN]!r} is there twice in a map")
    for name in found:
        if type(name) is not str:
            raise InvalidInput(f"{str(name)[:_SHOWN]!r} is no name: the names in a map are text")
    return found


def _whole(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= (number := int(text)) < 2**64:
        raise InvalidInput(f"the number {text[:_SHOWN]} is beyond 64 bits")
    return number


def _decimal(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidInput(f"the number {text[:_SHOWN]} is beyond 64 bits")
    return number


def _constant(text: str) -> Any:
    raise InvalidInput(f"{text} is no JSON: there is no such number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_map, parse_int=_whole, parse_float=_decimal, parse_constant=_constant
).decode


def _refuse_extension(code: int, _data: bytes) -> Any:
    raise InvalidInput(f"the msgpack extension type {code} is not allowed")


def _check_shape(value: Any) -> None:
    """Only plain values, not nested too deep; level by level, so that depth costs no stack."""
    level, depth = [value], 0
    while level:
        kinds = {type(item) for item in level}
        if odd := kinds - _PLAIN:
            raise InvalidInput(f"the msgpack extension type of a {min(kind.__name__ for kind in odd)} is not allowed")
        depth += not kinds.isdisjoint((dict, list))
        if depth > DEEPEST:
            raise InvalidInput(_TOO_DEEP)
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below += item.values()
            elif type(item) is list:
                below += item
        level = below


def _check_text(value: Any) -> None:
    """No half characters (lone surrogates): no other language could write them down."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidInput("a text in it has half a character (a lone surrogate)") from None


def _shown(raw: bytes) -> str:
    return repr(raw[:_SHOWN].decode(errors="backslashreplace"))
