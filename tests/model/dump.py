"""Reads everything that a pool has in Redis, and says what is wrong with its shape."""

import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgpack
import redis

Rows = dict[str, Any]


@dataclass
class Record:
    """The header of a run's record; `facts` once it is terminal."""

    flags: int
    entry: tuple[int, int]
    bucket: str
    spec: str
    facts: list[Any] | None


@dataclass
class Dump:
    """Keys of one pool by their first word: `zset['slots'][rest of the name]` and so on."""

    keys: dict[str, Rows] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)

    def rows(self, word: str) -> Rows:
        return self.keys.get(word, {})

    def one(self, word: str, empty: Any) -> Any:
        return self.rows(word).get("", empty)

    def ordered(self, bucket: str) -> list[str]:
        """The ids of a bucket, first to be served first."""
        front = [member for member, _ in self.rows("front").get(bucket, [])]
        return front + [fields["i"] for _, fields in self.rows("backlog").get(bucket, [])]


STREAMS = {"backlog", "finished", "bell"}
ZSETS = {"front", "awake", "classes", "waiters", "waiting", "parked", "ready", "workers", "slots", "queues"}
ZSETS |= {
    "priorities",
    "due",
    "dead",
    "idle:",
    "present",
    "ahead",
    "suspended",
    "resuming",
    "children",
    "orphans",
    "pushed",
}
SETS = {"site", "idle", "lanes", "lane", "lost", "listeners"}
HASHES = {"", "run", "worker", "queue", "limits", "depth", "later", "sweeps", "watch", "orders", "counts"}
STRINGS = {"rank", "idem", "r", "cache", "caching"}
UNREAD = {"events", "inbox", "heartbeat", "test-clock", "reply", "bell", "finished"}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    return [_text(item) for item in value] if isinstance(value, (list, tuple, set)) else value


def parse_record(raw: bytes) -> Record:
    _, flags, high, low, seq, size = struct.unpack(">BBHIIH", raw[:14])
    bucket, rest = raw[14 : 14 + size].decode(), raw[14 + size :]
    facts = None
    if flags & 8:
        length = int.from_bytes(rest[:4], "big")
        facts, rest = msgpack.unpackb(rest[4 : 4 + length]), rest[4 + length :]
    return Record(flags, ((high << 32) + low, seq), bucket, rest.decode(), facts)


def _word(key: str, root: str) -> tuple[str, str]:
    word, _, rest = key[len(root) + 1 :].partition(":")
    return ("idle:", rest) if word == "idle" and rest else (word, rest)


def read(client: "redis.Redis", root: str, known: Collection[str] = ()) -> Dump:
    """Read the pool; the records of the runs `known` (terminal, read before) are left out."""
    dump = Dump()
    pipe = client.pipeline(transaction=False)
    asked: list[tuple[str, str]] = []
    for key in sorted(key.decode() for key in client.keys(root.replace("[", "\\[") + "*")):
        word, rest = _word(key, root)
        if word in UNREAD or (word == "r" and rest in known):
            continue
        if word in STREAMS:
            pipe.xrange(key)
        elif word in ZSETS:
            pipe.zrange(key, 0, -1, withscores=True)
        elif word in SETS:
            pipe.smembers(key)
        elif word in HASHES:
            pipe.hgetall(key)
        else:
            assert word in STRINGS, f"a key of no known kind: {key}"
            pipe.get(key)
        asked.append((word, rest))
    for (word, rest), value in zip(asked, pipe.execute(), strict=True):
        if word == "r":
            dump.records[rest] = parse_record(value)
        else:
            dump.keys.setdefault(word, {})[rest] = _text(value)
    return dump


def problems(dump: Dump) -> list[str]:
    """What no history may leave behind, whatever the runs are."""
    return [*_bucket_problems(dump), *_lane_problems(dump), *_scope_problems(dump)]


def _bucket_problems(dump: Dump) -> list[str]:
    found = []
    buckets = set(dump.rows("backlog")) | set(dump.rows("front"))
    awake = {member: klass for klass, rows in dump.rows("awake").items() for member, _ in rows}
    waiting: dict[str, str] = {}
    for name, rows in dump.rows("waiters").items():
        key, _, klass = name.partition("|")
        for member, _ in rows:
            if member in waiting:
                found.append(f"{member} is parked under {key} and {waiting[member]}")
            waiting[member] = key
            if key not in member.split("|")[2:] or not member.startswith(klass + "|"):
                found.append(f"{member} is parked under {name}")
    front = dump.rows("front")
    found += [f"{name} is left over" for name, rows in dump.rows("backlog").items() if not rows and name not in front]
    found += [f"{bucket} is nowhere" for bucket in buckets - set(awake) - set(waiting)]
    found += [f"{bucket} is empty, and awake or parked" for bucket in (set(awake) | set(waiting)) - buckets]
    found += [f"{bucket} is awake and parked" for bucket in set(awake) & set(waiting)]
    if {member for member, _ in dump.one("parked", [])} != set(waiting):
        found.append("parked and waiters differ")
    keys = {name.partition("|")[0] for name in dump.rows("waiters")}
    if {member for member, _ in dump.one("waiting", [])} != keys:
        found.append("waiting and waiters differ")
    for key in keys:
        classes = {name.partition("|")[2] for name in dump.rows("waiters") if name.partition("|")[0] == key}
        if {member for member, _ in dump.rows("waiting").get(key, [])} != classes:
            found.append(f"classes waiting for {key} are not those of its waiters")
    found += [f"waiting:{key} is left over" for key in set(dump.rows("waiting")) - keys - {""}]
    return found


def _lane_problems(dump: Dump) -> list[str]:
    found = []
    lanes = set(dump.one("lanes", []))
    awake = set(dump.rows("awake"))
    ready = {lane: {member for member, _ in rows} for lane, rows in dump.rows("ready").items()}
    found += [f"ready:{lane} is left over" for lane in set(ready) - lanes - {""}]
    found += [f"lane {lane} has no members" for lane in lanes ^ set(dump.rows("lane"))]
    for lane, classes in ready.items():
        found += [f"ready:{lane} holds {klass} without awake buckets" for klass in classes - awake]
    classes = {member for rows in dump.rows("classes").values() for member, _ in rows}
    if classes != awake:
        found.append(f"classes of queues are {classes}, awake are {awake}")
    if not dump.one("sweeps", {}):
        served = {klass for klass in awake if "out" not in dump.rows("queue")[klass.split("|")[0]]}
        found += [f"{klass} is not ready" for klass in served - ready.get("", set())]
    if set(dump.one("idle", [])) != set(dump.rows("idle:")):
        found.append("idle and the idle index of lanes differ")
    return found


def _scope_problems(dump: Dump) -> list[str]:
    pool = {member for member, _ in dump.rows("slots").get("", [])}
    suspended = {member for rows in dump.rows("suspended").values() for member, _ in rows}
    by_kind: dict[str, set[str]] = {"queue": set(), "worker": set()}
    orphans = {member for member, _ in dump.one("orphans", [])}
    by_kind["worker"] |= orphans
    for scope, rows in dump.rows("slots").items():
        kind = scope.split(":")[0]
        members = {member for member, _ in rows}
        if kind == "worker":
            members -= suspended
        if kind in by_kind:
            by_kind[kind] |= members
        if members - pool:
            return [f"{scope} holds {members - pool}, the pool does not"]
    return [f"slots of the pool and of {kind}s differ" for kind, members in by_kind.items() if members != pool]
