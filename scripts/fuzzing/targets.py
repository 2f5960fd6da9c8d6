"""What reads bytes from outside, each with valid documents and with the errors that it may raise."""

# ruff: noqa: SLF001 - decoders are tried one by one, without what stands around them

import base64
import json
from typing import Any

import msgpack

from dispatcher import codec
from dispatcher.deployments import read_deployment
from dispatcher.errors import InvalidInput, ServerUnfit
from dispatcher.intake.document import read_document
from dispatcher.intake.reading import read_entry
from dispatcher.manifest.yaml_text import ManifestFaults, read_yaml
from dispatcher.models import RetryPolicy, RunSpec
from dispatcher.store import deployments, logs, runs, snapshots, workers
from fuzzing.target import Target
from workers.docker import events, marks

_VALUES: tuple[Any, ...] = (
    None, 3, [1, 2.5, "three", b"\xff", None, True], {"a": {"b": [1, {"c": "d"}]}, "é": "日本"},
    {"list": [{"n": n, "text": "x" * n} for n in range(8)]},
)  # fmt: skip
_SPECS = [
    codec.encode_spec(spec)
    for spec in (
        RunSpec(function="add", parameters={"a": 1, "b": [2]}),
        RunSpec(command=("echo", "a b"), tags=("x", "y"), timeout=2.5, retry=RetryPolicy(3, 1.0), name="n", parent="p"),
        RunSpec(
            command="echo $A", job_variables={"env": {"A": "1"}}, at=1_700_000_000_000, expires_at=1_800_000_000_000
        ),
        RunSpec(entrypoint="flow.py:main", pull=({"git_clone": {"repository": "r"}},), deployment="d", schedule="s"),
    )
]
_FACTS = [
    msgpack.packb(["completed", "", 1, 0, 1_700_000_000_000, "w-1", "", 1, 2, 3, codec.pack(value)])
    for value in _VALUES
] + [msgpack.packb(["failed", "raised", 2, 1, 5, "w", "i", 0, 0, 9, codec.pack({"error": "it broke", "type": "E"})])]
_HEADER = b"\x01\x00" + b"\x01\x8b\xcf\xe5\x68\x00" + b"\0\0\0\1" + b"\x00\x0b" + b"default||k:"
_OVER = b"\x01\x08" + _HEADER[2:]
_RECORDS = [_HEADER + spec for spec in _SPECS] + [
    _OVER + len(facts).to_bytes(4, "big") + facts + _SPECS[0] for facts in _FACTS
]
_DOCUMENTS: list[dict[str, Any]] = [
    {"function": "add", "parameters": {"a": 1, "b": 2}, "queue": "q", "labels": ["gpu"], "keys": ["tenant:a"]},
    {"command": ["echo", "x"], "at": "2027-01-01T00:00:00Z", "expires": 60, "retry": {"retries": 3, "delay": 2.5}},
    {
        "command": "echo $A",
        "shell": True,
        "tags": ["t"],
        "job_variables": {"env": {"A": "é"}},
        "name": "n",
        "id": "a" * 20,
    },
]
_DEPLOYMENTS = [
    {
        "name": "d",
        "pool": "p",
        "function": "f",
        "schedules": [{"cron": "0 4 * * *", "id": "s", "timezone": "Europe/Rome"}],
    },
    {
        "name": "e",
        "pool": "p",
        "entrypoint": "a.py:f",
        "parameters": {"x": [1]},
    },
]
_LOG = [codec.pack([[1_700_000_000_000, "info", "a line"], [1_700_000_000_001, "error", "é\x1b[0m"]])]
_LETTERS = [b"1:1700000000000:1:0:0190a0b0c0d07000800000000000000a", b"0190a0b0:17", b"2:3:4:5:id infrastructure"]
_SNAPSHOT = [
    msgpack.packb([1, ["function", "", False, 0, 0, 0, 0, 1, "3", "0", "4"],
                   [["q", ["1", "", "0", ""], "3", 0, 0, 0, ["published", "3"], 2]], [1, 0, 1, 0, 4, 1, 0]])
]  # fmt: skip
_INFO = [codec.pack({"name": "w", "host": "h", "pid": 12, "type": "function", "version": "1"})]
_LINES = [b"\x1e" + base64.b64encode(codec.pack(["tell", "log", "info", "text"])), b"a line of the code's own"]
_EVENTS = [json.dumps({"id": "abc", "status": "die", "Actor": {"Attributes": {"a": "b"}}}).encode()]
_MANIFEST = [
    b"pools:\n  etl: {type: process, limit: 3}\n  &a b: *a\ndeployments:\n- name: d\n  pool: etl\n  cron: 0 4 1 1 1\n",
    b"a: [1, 2.5, true, null, 2027-01-01, 'x', \"\\u00e9\"]\nb: |\n  text\n  more\n",
]


def _log_lines(data: bytes) -> object:
    reader = logs.LogReader(None, "default", "run")  # type: ignore[arg-type]  # it reads what it is given
    return reader._lines([(b"1-1", {b"h": b"1:2:3:4:5:0", b"l": data}), (b"1-2", {b"h": data, b"l": b""})])


def _letters(data: bytes) -> object:
    for field in (data, b"cancel", b"resume", b"drain"):
        workers._read_letter(workers.Letters([], "", [], []), {field: data})
    return workers._hand_offs("w", [data, data])


def _snapshot(data: bytes) -> object:
    reading = snapshots._reading("default")
    next(reading)
    try:
        return reading.send(data)
    except StopIteration as end:
        return end.value


def _deployed(data: bytes) -> object:
    return deployments._document("d", data)


TARGETS = (
    Target("spec", codec.decode_spec, _SPECS, weight=30),
    Target("record", codec.decode_record, _RECORDS, weight=20),
    Target("run", lambda data: runs._run("default", "0" * 32, data, {}, None), _RECORDS, weight=20),
    Target("facts", codec.decode_facts, _FACTS, weight=10),
    Target("end", lambda data: runs.end_result("r", runs.End("completed", data)), _FACTS, weight=20),
    Target("result", codec.unpack, [codec.pack(value) for value in _VALUES], weight=30),
    Target("intake, JSON", lambda data: read_document(read_entry((b"run", data))),
           [json.dumps(document, ensure_ascii=False).encode() for document in _DOCUMENTS], weight=30),
    Target("intake, msgpack", lambda data: read_document(read_entry((b"run.mp", data))),
           [msgpack.packb(document) for document in _DOCUMENTS], weight=30),
    Target("deployment", _deployed, [codec.pack(document) for document in _DEPLOYMENTS], weight=10),
    Target("log", _log_lines, _LOG, errors=(), weight=10),
    Target("letter", _letters, _LETTERS, errors=(ValueError,), weight=10),
    Target("worker", workers._info_of, _INFO, errors=(), weight=5),
    Target("snapshot", _snapshot, _SNAPSHOT, errors=(ServerUnfit, InvalidInput), weight=10),
    Target("container line", marks.words_of, _LINES, errors=(), weight=10),
    Target("container event", events._container_of, _EVENTS, errors=(), weight=5),
    Target("manifest", lambda data: read_yaml(data.decode(errors="replace"), "sluice.yaml"), _MANIFEST,
           errors=(ManifestFaults,), weight=1),
)  # fmt: skip

for _target in TARGETS:  # a seed that cannot be read would leave its decoder untried
    for _seed in _target.seeds:
        if _target.name not in ("letter", "manifest"):
            _target.read(_seed)
if read_deployment(_DEPLOYMENTS[0]).name != "d":
    raise AssertionError("the seeds of deployments are none")
