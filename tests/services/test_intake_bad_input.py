"""What is no run is rejected with its reason, and what comes behind it is published."""

import json
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from tests.support.publishing import ROOT, STREAM, Publisher
from tests.support.stack import Stack

MB = 1024 * 1024
Fields = dict[str, Any]


@pytest.fixture
def publisher(redis_url: str) -> Iterator[Publisher]:
    made = Publisher(redis_url)
    yield made
    made.close()


def run(**document: Any) -> Fields:
    return {"run": json.dumps({"function": "f", **document})}


def packed(value: Any, **options: Any) -> Fields:
    return {"run.mp": msgpack.packb(value, **options)}


def nested_json(levels: int, opening: str = "[", closing: str = "]") -> Fields:
    return {"run": '{"function": "f", "parameters": {"x": ' + opening * levels + closing * levels + "}}"}


DEEP = b"\x82\xa8function\xa1f\xaaparameters\x81\xa1x"
BAD: dict[str, tuple[Fields, str]] = {
    "no JSON": ({"run": "hello"}, "it is no JSON: Expecting value: line 1 column 1"),
    "empty": ({"run": ""}, "it is no JSON: Expecting value"),
    "cut off": ({"run": '{"function": "f"'}, "it is no JSON: Expecting ',' delimiter"),
    "two documents": ({"run": '{"function": "f"} {}'}, "it is no JSON: Extra data"),
    "byte order mark": ({"run": '\ufeff{"function": "f"}'}, "it begins with a byte order mark"),
    "list": ({"run": "[1]"}, "it is no map of names to values"),
    "null": ({"run": "null"}, "it is no map of names to values"),
    "not UTF-8": ({"run": b'{"function": "\xff"}'}, "it is not UTF-8: invalid start byte at byte 14"),
    "UTF-16": ({"run": '{"function": "f"}'.encode("utf-16")}, "it is not UTF-8"),
    "half a character": (run(parameters={"x": "\ud800"}), "half a character (a lone surrogate)"),
    "half a character as a name": (run(parameters={"\udfff": 1}), "half a character (a lone surrogate)"),
    "a name twice": ({"run": '{"function": "f", "function": "g"}'}, "'function' is there twice in a map"),
    "a name twice, deeper": ({"run": '{"function":"f","parameters":{"x":[{"a":1,"a":2}]}}'}, "'a' is there twice"),
    "NaN": ({"run": '{"function": "f", "delay": NaN}'}, "NaN is no JSON"),
    "Infinity": ({"run": '{"function": "f", "parameters": {"x": -Infinity}}'}, "-Infinity is no JSON"),
    "a float too large": ({"run": '{"function": "f", "parameters": {"x": 1e999}}'}, "1e999 is beyond 64 bits"),
    "an integer too large": (run(parameters={"x": 2**64}), "the number 18446744073709551616 is beyond 64 bits"),
    "an integer too small": (run(parameters={"x": -(2**63) - 1}), "is beyond 64 bits"),
    "100,000 digits": ({"run": '{"function": "f", "delay": ' + "9" * 100_000 + "}"}, "beyond 64 bits"),
    "101 levels": (nested_json(99), "it is nested deeper than 100 levels"),
    "500,000 levels": (nested_json(500_000), "it is nested deeper than 100 levels"),
    "150,000 maps deep": (nested_json(150_000, '{"a":', "}"), "it is nested deeper than 100 levels"),
    "over 1 MB": ({"run": "x" * MB}, "1048576 are read at most: pass large data by reference"),
    "well over 1 MB": ({"run": "x" * 20 * MB}, "it is 20971523 bytes"),
    "over the payload limit": (run(parameters={"x": "y" * 600_000}), "524,288 are allowed: put the data elsewhere"),
    "no msgpack": ({"run.mp": b"\xc1"}, "it is no msgpack"),
    "empty msgpack": ({"run.mp": b""}, "it is no msgpack"),
    "msgpack cut off": ({"run.mp": b"\x81\xa8func"}, "it is no msgpack"),
    "msgpack that promises much": ({"run.mp": b"\xdf\xff\xff\xff\xff"}, "it is no msgpack"),
    "msgpack text that promises much": ({"run.mp": b"\xdb\xff\xff\xff\xff"}, "it is no msgpack"),
    "msgpack list": (packed([1]), "it is no map of names to values"),
    "msgpack number": (packed(5), "it is no map of names to values"),
    "trailing bytes": ({"run.mp": msgpack.packb({"function": "f"}) + b"abc"}, "3 bytes follow its end"),
    "extension": (
        packed({"function": "f", "parameters": {"x": msgpack.ExtType(5, b"x")}}),
        "extension type 5 is not allowed",
    ),
    "timestamp": (
        packed({"function": "f", "parameters": {"x": msgpack.Timestamp(1, 0)}}),
        "the msgpack extension type of a Timestamp is not allowed",
    ),
    "msgpack not UTF-8": ({"run.mp": b"\x81\xa8function\xa1\xff"}, "a text in it is not UTF-8"),
    "msgpack name of bytes": (packed({b"function": "f"}), "is no name: the names in a map are text"),
    "msgpack name is a number": (packed({"function": "f", "parameters": {"x": {5: 1}}}), "not allowed for map key"),
    "msgpack name twice": ({"run.mp": b"\x82\xa8function\xa1f\xa8function\xa1g"}, "'function' is there twice"),
    "msgpack 101 levels": ({"run.mp": DEEP + b"\x91" * 99 + b"\x90"}, "it is nested deeper than 100 levels"),
    "msgpack 1 MB of levels": ({"run.mp": DEEP + b"\x91" * (MB - 100)}, "it is nested deeper than 100 levels"),
    "1 MB of empty maps": (
        packed({"function": "f", "parameters": {"x": [{}] * (MB - 100)}}),
        "it holds more than 250,000 lists and maps",
    ),
    "1 MB of empty maps alone": ({"run.mp": b"\xdd\x00\x0f\xff\x00" + b"\x80" * 0xFFF00}, "it is no map of names"),
    "no field of ours": ({"job": "{}"}, "the field 'job' is not known: `run` (JSON) or `run.mp` (msgpack)"),
    "a field of bytes": ({b"\xff\x1b": "{}"}, "the field '"),
    "both formats": ({**run(), **packed({"function": "f"})}, "one of the fields `run` (JSON) and `run.mp`"),
    "reply alone": ({"reply": "me"}, "one of the fields `run` (JSON) and `run.mp`"),
    "a reply that is no name": ({**run(), "reply": "a b"}, "'a b' is no name for `reply`"),
    "a reply of bytes": ({**run(), "reply": b"\xff"}, "is no name for `reply`"),
    "a reply too long": ({**run(), "reply": "r" * 64}, "is no name for `reply`"),
    "no work": ({"run": "{}"}, "a run names one of function, command and entrypoint"),
    "two kinds of work": (run(command=["true"]), "a run names one of function, command and entrypoint"),
    "a pool": (run(pool="other"), "`pool` must not be there: the name of the stream says it"),
    "a source": (run(source="web"), "`source` must not be there: it is that of the stream"),
    "an unknown name": (run(prio=3), "'prio' is not known: one of function, command"),
    "an unknown name of retry": (run(retry={"times": 3}), "'retry.times' is not known: one of retries, delay"),
    "function is a number": (run(function=5), "function: Input should be a valid string"),
    "function is empty": (run(function=""), "function: String should have at least 1 character"),
    "parameters are a list": (run(parameters=[1]), "parameters: Input should be a valid dictionary"),
    "queue is no name": (run(queue="a b"), "'a b' is no queue name"),
    "queue ends in a line": (run(queue="a\n"), "is no queue name"),
    "label is no label": (run(labels=["a,b"]), "'a,b' is no label"),
    "labels are one text": (run(labels="gpu"), "labels: Input should be a valid list"),
    "key is no key": (run(keys=["tenant"]), "'tenant' is no concurrency key"),
    "key with a bar": (run(keys=["tenant:a|b"]), "is no concurrency key"),
    "five keys": (run(keys=[f"k:{n}" for n in range(5)]), "keys: List should have at most 4 items"),
    "at without zone": (run(at="2030-01-01T00:00:00"), "at: '2030-01-01T00:00:00' has no time zone"),
    "at is a number": (run(at=1_900_000_000), "at: 1900000000 is no instant: text in ISO 8601"),
    "at is a word": (run(at="tomorrow"), "at: 'tomorrow' is no instant"),
    "at and delay": (run(at="2030-01-01T00:00:00Z", delay=1), "`at` and `delay` exclude each other"),
    "delay is text": (run(delay="5"), "delay: Input should be a valid number"),
    "delay is true": (run(delay=True), "delay: Input should be a valid number"),
    "delay below 0": (run(delay=-1), "delay: Input should be greater than or equal to 0"),
    "msgpack delay is not a number": (packed({"function": "f", "delay": float("nan")}), "delay: Input should be"),
    "expires is a list": (run(expires=[1]), "expires: seconds, 0 or more, or an instant"),
    "retries is half": (run(retries=1.5), "retries: Input should be a valid integer"),
    "too many retries": (run(retries=1001), "retries: Input should be less than or equal to 1000"),
    "jitter above 1": (run(retry={"jitter": 2}), "retry.jitter: Input should be less than or equal to 1"),
    "id too short": (run(id="x"), "id: String should match pattern"),
    "id with a colon": (run(id="a:" + "b" * 20), "id: String should match pattern"),
    "key without time": (run(idempotency_key="k", idempotency_ttl=0), "an idempotency key needs a time to live"),
    "idempotency key too long in bytes": (run(idempotency_key="ä" * 101), "is no idempotency key"),
    "command is empty": ({"run": '{"command": []}'}, "command: a list of texts, the program first, or one text"),
    "command of no words": ({"run": '{"command": ""}'}, "is no command: a list of texts"),
    "command with an open quote": ({"run": '{"command": "echo \'a"}'}, "is no command: No closing quotation"),
    "command with a NUL": ({"run": '{"command": ["echo", "a\\u0000"]}'}, "is no command"),
    "shell with a list": ({"run": '{"command": ["echo"], "shell": true}'}, "with `shell`, the command is one text"),
    "shell without a command": (run(shell=True), "`shell` is for a command"),
    "entrypoint without a function": ({"run": '{"entrypoint": "file.py"}'}, "is no entrypoint"),
    "traceparent is odd": (run(traceparent="00-x"), "traceparent: String should match pattern"),
    "tag is a number": (run(tags=[5]), "tags.0: Input should be a valid string"),
}


@pytest.mark.fault(35)
async def test_what_is_no_run_is_rejected_with_its_reason(stack: Stack, publisher: Publisher) -> None:
    """All in one stream, each before a good one: none holds up what comes behind it."""
    await stack.dispatcher()
    for fields, _ in BAD.values():
        publisher.redis.xadd(STREAM, fields)
        publisher.add({"function": "f"})
    await publisher.read()
    rejected = publisher.rejected()
    assert len(rejected) == len(BAD)
    told = {case: entry["reason"] for case, entry in zip(BAD, rejected, strict=True)}
    assert {case: reason for case, reason in told.items() if BAD[case][1] not in reason} == {}
    assert {case: reason for case, reason in told.items() if "could not be read" in reason} == {}
    assert max(map(len, told.values())) <= 500
    assert len(publisher.backlog()) == len(BAD)
    for entry, (fields, _) in zip(rejected, BAD.values(), strict=True):
        raw = fields.get("run", fields.get("run.mp")) if fields.keys() <= {"run", "run.mp", "reply"} else None
        if "no name for `reply`" in entry["reason"]:
            assert entry["format"] == "", "it is not put back without its reply"
        elif raw is not None and len(fields.keys() & {"run", "run.mp"}) == 1:
            whole = raw if isinstance(raw, bytes) else raw.encode()
            assert (entry["head"], int(entry["size"])) == (whole[:4096], len(whole))


async def test_what_is_just_allowed_is_taken(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    good: list[Fields] = [
        nested_json(98),
        run(parameters={"x": "y" * 524_200}),
        run(parameters={"x": [2**64 - 1, -(2**63), 1e308, "\U0001f600", "\x00"]}),
        {"run": '{"function": "f", "parameters": {"x": "\\ud83d\\ude00"}}'},
        {"run": ' {"function" : "f" , "queue": null, "parameters": null, "labels": null, "at": null}\n'},
        {"run": '{"function": null, "command": ["true"], "entrypoint": null, "shell": null}'},
        packed({"function": "f", "parameters": {"x": b"\xff"}}),
        {**run(), "reply": "r" * 63},
    ]
    for fields in good:
        publisher.redis.xadd(STREAM, fields)
    await publisher.read()
    assert publisher.rejected() == []
    assert len(publisher.backlog()) == len(good)


async def test_the_answer_to_a_rejected_entry_says_why(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    entry = publisher.add({"function": "f", "prio": 1}, reply="me")
    large = publisher.add(run="x" * 2 * MB, reply="me")
    publisher.add({"function": "f", "prio": 1}, reply="a b")
    await publisher.read()
    told = publisher.replies("me")
    assert [(line["entry"], line["status"], line["run"], line["source"]) for line in told] == [
        (entry, "rejected", "", "intake"),
        (large, "rejected", "", "intake"),
    ]
    assert "'prio' is not known" in told[0]["reason"]
    assert "are read at most" in told[1]["reason"]
    assert [key.decode() for key in publisher.redis.scan_iter(f"{ROOT}:reply:*")] == [f"{ROOT}:reply:me"]


async def test_a_queue_that_is_being_deleted_takes_none(stack: Stack, publisher: Publisher) -> None:
    await stack.client.queues.create("old")
    publisher.redis.hset(f"{ROOT}:queue:old", "deleting", 1)
    await stack.dispatcher()
    publisher.add({"function": "f", "queue": "old"}, reply="me")
    publisher.add({"function": "f"})
    await publisher.read()
    assert [entry["reason"] for entry in publisher.rejected()] == [
        "work queue old is being deleted: publish into another one"
    ]
    assert [line["status"] for line in publisher.replies("me")] == ["rejected"]
    assert len(publisher.backlog()) == 1


async def test_a_field_twice_is_refused_and_shown_whole(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    publisher.redis.execute_command("XADD", STREAM, "*", "run", '{"function": "f"}', "run", '{"function": "g"}')
    await publisher.read()
    (entry,) = publisher.rejected()
    assert entry["reason"] == "the field 'run' is there twice"
    assert (entry["format"], entry["head"]) == ("", b'run {"function": "f"} run {"function": "g"}')


async def test_a_reader_of_replies_survives_answers(stack: Stack, publisher: Publisher) -> None:
    """A publisher may take the name of a client that waits; that one goes on."""
    run_id = await stack.client.publish("f")
    waiting = stack.client._waiter
    await stack.dispatcher()
    publisher.add({"function": "g"}, reply=waiting.client)
    await publisher.read()
    await stack.client.cancel(run_id)
    with pytest.raises(Exception, match="cancelled"):
        await stack.client.result(run_id, timeout=20)
    assert waiting._reader is not None
    assert not waiting._reader.done()


@pytest.mark.fault(36)
async def test_the_largest_entries_cost_bounded_time(stack: Stack, publisher: Publisher) -> None:
    await stack.dispatcher()
    began = time.monotonic()
    for _ in range(20):
        publisher.redis.xadd(STREAM, {"run.mp": DEEP + b"\xdd\x00\x0f\xff\x00" + b"\x80" * 0xFFF00})
    publisher.add({"function": "f"})
    await publisher.read(timeout=100)
    assert len(publisher.rejected()) == 20
    assert len(publisher.backlog()) == 1
    assert time.monotonic() - began < 60
