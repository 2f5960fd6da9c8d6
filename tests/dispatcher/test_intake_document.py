"""The document of intake: any bytes are read or refused with a reason, and the schema says what the model says."""

import json
from typing import Any

import jsonschema_rs
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dispatcher.errors import InvalidInput
from dispatcher.intake import Document, json_schema
from dispatcher.intake.document import DIALECT, read_document
from dispatcher.intake.judging import compose, examine
from dispatcher.intake.reading import read_json, read_msgpack
from dispatcher.store import WireRun
from dispatcher.store.intake import PublishStream, Unread

STREAM = PublishStream("default", "")
NOW = 1_900_000_000_000
PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NEAR = some.dictionaries(
    some.sampled_from([*Document.model_fields, "pool", "source"]),
    PLAIN | some.sampled_from(["f", "2030-01-01T00:00:00Z", "a:b", "0" * 32, ["true"], {"retries": 1}, "x" * 300]),
    max_size=4,
)


def judge(*fields: bytes, entry: str = "1-0") -> WireRun | str:
    unread = Unread(entry, fields)
    found = examine(STREAM, unread)
    return found if isinstance(found, str) else compose(STREAM, unread, found, NOW, 512 * 1024)


def is_sound(verdict: WireRun | str) -> bool:
    """A run, or a reason that people can read; never an error that nobody thought of."""
    if isinstance(verdict, str):
        return verdict.isprintable() and "could not be read" not in verdict and len(verdict) <= 500
    return len(verdict.id) <= 64 and "|" in verdict.bucket and len(verdict.spec) <= 512 * 1024


@settings(max_examples=2000, deadline=None)
@given(some.binary(max_size=200), some.sampled_from([b"run", b"run.mp"]))
def test_any_bytes_are_read_or_refused(raw: bytes, field: bytes):
    assert is_sound(judge(field, raw))


@settings(max_examples=2000, deadline=None)
@given(NEAR | PLAIN)
def test_any_document_is_taken_or_refused(value: Any):
    assert is_sound(judge(b"run", json.dumps(value).encode()))


@settings(max_examples=500, deadline=None)
@given(some.lists(some.binary(max_size=20) | some.sampled_from([b"run", b"run.mp", b"reply"]), max_size=6))
def test_any_fields_are_taken_or_refused(words: list[bytes]):
    assert is_sound(judge(*words[: len(words) // 2 * 2]))


@settings(max_examples=500, deadline=None)
@given(PLAIN.filter(lambda value: len(json.dumps(value)) < 2000))
def test_both_formats_say_the_same(value: Any):
    """What one reads the other reads too; NaN and its like are not in JSON, numbers beyond 64 bits in neither."""
    try:
        packed = msgpack.packb(value)
        plain = json.dumps(value, allow_nan=False).encode()
    except (OverflowError, ValueError):
        return
    try:
        read = read_json(plain)
    except InvalidInput:
        return
    assert read_msgpack(packed) == read


def test_an_id_is_of_stream_entry_and_content():
    def derived(raw: bytes, entry: str = "1-0", publisher: str = "") -> str:
        unread = Unread(entry, (b"run", raw))
        stream = PublishStream("default", publisher)
        found = compose(stream, unread, read_document(read_json(raw)), NOW, 1000)
        assert isinstance(found, WireRun)
        return found.id

    first = derived(b'{"function": "f"}')
    assert first == derived(b'{"function": "f"}')
    assert first[12] == "8"
    others = {
        derived(b'{"function": "g"}'),
        derived(b'{"function": "f"}', "1-1"),
        derived(b'{"function": "f"}', publisher="web"),
    }
    assert len(others | {first}) == 4


GOOD: list[dict[str, Any]] = [
    {"function": "f"},
    {"function": "f", "command": None, "queue": None},
    {"command": ["echo", "a b"]},
    {"command": "echo a", "shell": True},
    {"entrypoint": "a.py:main", "at": "2030-01-31T08:00:00+01:00", "expires": 60},
    {"function": "f", "delay": 1.5, "expires": "2030-01-31T08:00:00Z", "retry": {"retries": 2, "delay": 1}},
    {"function": "f", "queue": "etl", "labels": ["gpu", "k=v"], "keys": ["tenant:acme"], "tags": ["a"]},
    {"function": "f", "id": "0" * 32, "parent": "a" * 16, "idempotency_key": "k", "idempotency_ttl": 5},
]
BAD: list[Any] = [
    {}, [], None, {"function": None}, {"function": "f", "command": ["true"]}, {"function": ""}, {"function": 5},
    {"command": []}, {"command": [1]}, {"function": "f", "pool": "p"}, {"function": "f", "source": "s"},
    {"function": "f", "queue": "a b"}, {"function": "f", "labels": "gpu"}, {"function": "f", "labels": ["a,b"]},
    {"function": "f", "keys": ["k:1"] * 5}, {"function": "f", "delay": -1}, {"function": "f", "delay": "1"},
    {"function": "f", "expires": -1}, {"function": "f", "at": 5}, {"function": "f", "retries": 1001},
    {"function": "f", "retry": {"times": 1}}, {"function": "f", "id": "x"}, {"function": "f", "traceparent": "x"},
]  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.Draft202012Validator(json_schema())


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_schema_and_intake_take_the_same(validator: Any, document: Any):
    assert validator.is_valid(document)
    assert isinstance(judge(b"run", json.dumps(document).encode()), WireRun)
    assert isinstance(judge(b"run.mp", msgpack.packb(document)), WireRun)


@pytest.mark.parametrize("document", BAD, ids=json.dumps)
def test_schema_and_intake_refuse_the_same(validator: Any, document: Any):
    assert not validator.is_valid(document)
    assert isinstance(judge(b"run", json.dumps(document).encode()), str)


def test_the_schema_describes_every_field():
    schema = json_schema()
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == DIALECT
    assert schema["additionalProperties"] is False
    assert all(field.get("description") for field in schema["properties"].values())
