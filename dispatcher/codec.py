"""Bytes of runs: spec, header, facts, results. msgpack arrays, trailing nils cut; README.md has the layout.

Sizes are checked before anything is decoded (unpacking.py), extension types refused; nothing evaluates or unpickles.
"""

import dataclasses
import struct
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple, cast
from uuid import UUID

import msgpack

from .errors import DecodeError, InvalidInput, PayloadTooLarge
from .models import RetryPolicy, RunSpec
from .unpacking import HARD_LIMIT, check_packed, unpack

__all__ = [
    "HARD_LIMIT", "PAYLOAD_LIMIT", "SPEC_FIELDS", "DecodeError", "PayloadTooLarge", "Record", "amend_extra",
    "decode_facts", "decode_record", "decode_spec", "encode_extra", "encode_plain_spec", "encode_spec", "pack",
    "retry_row", "unpack",
]  # fmt: skip

PAYLOAD_LIMIT = 512 * 1024
_FACTS_LIMIT = HARD_LIMIT + 64 * 1024

# Positions in the spec's array. New fields are appended, none is ever reused: two releases read each other's runs.
SPEC_FIELDS = (
    "function", "parameters", "retry", "timeout", "name", "tags", "command", "entrypoint", "at", "expires_at",
    "deployment", "deployment_version", "schedule", "parent", "job_variables", "traceparent", "reply_to", "source",
    "durability", "retry_of", "deployment_variables", "pull",
)  # fmt: skip

_HEADER = struct.Struct(">BB6s4sH")
_TERMINAL = 8
_TOKEN, _ADMITTED, _STARTED = 4, 7, 8
_NO_RETRY = RetryPolicy()
_MAPS = frozenset({"parameters", "job_variables", "deployment_variables"})
_LISTS = frozenset({"command", "tags", "pull"})
_INSTANTS = frozenset({"at", "expires_at"})
_RETRY_WIDTH = 5
_LATEST_MS = 253_402_300_799_999  # the year 9999


class Record(NamedTuple):
    """A run's record: its bucket, the flags and entry of its header, its final facts when terminal, its spec."""

    bucket: str
    flags: int
    entry_ms: int
    facts: list[Any] | None
    spec: bytes


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line a type
    """Turn what msgpack does not know into what any language reads; the worker's types turn it back."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID | Decimal | PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return list(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    raise TypeError(f"a value of type {type(value).__name__} cannot be serialised")


def pack(value: Any) -> bytes:
    """Serialise a value; raises InvalidInput for what cannot be: unknown types, over 500 levels, too much."""
    try:
        packed = cast("bytes", msgpack.packb(value, default=_plain))
        check_packed(packed, value, _plain)
    except Exception as error:  # a model of the user's may raise anything
        raise InvalidInput(f"cannot be serialised: {error}"[:400]) from error
    return packed


def retry_row(retry: RetryPolicy) -> list[Any] | None:
    """A policy as it stands in a spec; None for no retries."""
    if retry == _NO_RETRY:
        return None
    return [retry.retries, retry.delay, retry.factor, retry.max_delay, retry.jitter]


def encode_spec(spec: RunSpec, limit: int = PAYLOAD_LIMIT) -> bytes:
    """The spec's bytes; raises InvalidInput, or PayloadTooLarge over `limit` bytes."""
    row: list[Any] = [
        spec.function,
        spec.parameters,
        retry_row(spec.retry),
        spec.timeout,
        spec.name,
        spec.tags or None,
    ]
    rest = [getattr(spec, name) for name in SPEC_FIELDS[6:-1]] + [spec.pull or None]
    while rest and rest[-1] is None:
        rest.pop()
    row += rest
    while row[-1] is None:
        row.pop()
    packed = pack(row)
    if len(packed) > limit:
        raise PayloadTooLarge(len(packed), limit)
    return packed


def decode_spec(data: bytes) -> RunSpec:
    """The spec of those bytes; raises DecodeError, PayloadTooLarge. What a newer release has appended is left out."""
    row = unpack(data)
    if not isinstance(row, list):
        raise DecodeError("a run's spec is an array")
    values = dict(zip(SPEC_FIELDS, row, strict=False))
    for name, value in values.items():
        if value is not None and not _fits(name, value):
            raise DecodeError(f"a run's {name} is not {str(value)[:40]!r}")
    retry = values.get("retry")
    values["retry"] = RetryPolicy(*retry) if retry else _NO_RETRY
    values["tags"] = tuple(values.get("tags") or ())
    values["parameters"] = values.get("parameters") or {}
    values["pull"] = tuple(values.get("pull") or ())
    if isinstance(values.get("command"), list):
        values["command"] = tuple(values["command"])
    return RunSpec(**values)


def _fits(field: str, value: Any) -> bool:
    """Whether a field of a spec holds what it may."""
    kind = type(value)
    if field in _MAPS:
        return kind is dict and all(type(name) is str for name in value)
    if field in _INSTANTS:
        return kind is int and 0 <= value <= _LATEST_MS
    if field in _LISTS:
        of = dict if field == "pull" else str
        return (kind is str and field == "command") or (kind is list and all(type(item) is of for item in value))
    if field == "retry":
        return kind is list and len(value) <= _RETRY_WIDTH and all(map(_is_number, value))
    return _is_number(value) if field == "timeout" else kind is str


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LATEST_MS  # false of nan


def decode_record(raw: bytes) -> Record:
    """Split a record into header, final facts and spec; raises DecodeError."""
    try:
        _, flags, ms, _, size = _HEADER.unpack_from(raw)
        bucket, rest = raw[14 : 14 + size].decode(), raw[14 + size :]
        length = struct.unpack_from(">I", rest)[0] if flags & _TERMINAL else 0
    except (struct.error, UnicodeDecodeError) as error:
        raise DecodeError(f"not the record of a run: {error}") from error
    if not flags & _TERMINAL:
        return Record(bucket, flags, int.from_bytes(ms, "big"), None, rest)
    return Record(bucket, flags, int.from_bytes(ms, "big"), decode_facts(rest[4 : 4 + length]), rest[4 + length :])


def decode_facts(packed: bytes) -> list[Any]:
    """State, reason, attempt, crashes, token, worker, infrastructure, admitted, started, finished, result."""
    row = unpack(packed, _FACTS_LIMIT, raw=True)
    if not isinstance(row, list) or len(row) <= _STARTED:
        raise DecodeError("a run's facts are an array")
    row[_ADMITTED] = row[_ADMITTED] or row[_TOKEN]
    row[_STARTED] = row[_STARTED] or row[_ADMITTED]
    try:
        return [
            value.decode() if isinstance(value, bytes) and i < len(row) - 1 else value for i, value in enumerate(row)
        ]
    except UnicodeDecodeError as error:
        raise DecodeError(f"a run's facts are not UTF-8: {error}") from error


def encode_extra(
    *, at: int = 0, expires_at: int = 0, idempotency_key: str = "", ttl_ms: int = 0, client: str = "",
    parent: str = "", parent_token: str = "", retry_of: str = "",
) -> bytes:  # fmt: skip
    """What publish needs to know beside the spec; empty for most runs."""
    if not (at or expires_at or idempotency_key or client or parent or retry_of):
        return b""
    return pack([at, expires_at, idempotency_key, ttl_ms, client, parent, parent_token, retry_of])


_NO_EXTRA = (0, 0, "", 0, "", "", "", "", "", 0)


def amend_extra(
    extra: bytes, *, parent_token: str = "", retry_of: str = "", cache: tuple[str, int] | None = None
) -> bytes:
    """What publish needs to know, with what only the caller of a drafted run knows; `cache`: key and ms to live."""
    row = unpack(extra) if extra else []
    row += list(_NO_EXTRA[len(row) :])
    row[6], row[7] = parent_token or row[6], retry_of or row[7]
    if cache:
        row[8:10] = cache
    return pack(row)


def encode_plain_spec(function: str, parameters: dict[str, Any], limit: int = PAYLOAD_LIMIT) -> bytes:
    """`encode_spec` of a run that says nothing else: what most publishes are, at a third of the cost."""
    packed = pack((function, parameters) if parameters else (function,))
    if len(packed) > limit:
        raise PayloadTooLarge(len(packed), limit)
    return packed
