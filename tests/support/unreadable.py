"""Records and documents that nobody can read, as a newer release or a broken disk may leave them."""

import struct

import redis

ROOT = "sluice:{default}"
NO_MSGPACK = b"\xc1"


def spoil_run(connection: "redis.Redis", run_id: str) -> None:
    """Its spec is no spec any more; what scripts read of it stays as it is."""
    key = f"{ROOT}:r:{run_id}"
    raw = connection.get(key)
    assert isinstance(raw, bytes)
    end = 14 + int.from_bytes(raw[12:14], "big")
    if raw[1] & 8:
        end += 4 + struct.unpack_from(">I", raw, end)[0]
    connection.set(key, raw[:end] + NO_MSGPACK)


def spoil_deployment(connection: "redis.Redis", slug: str) -> None:
    """Its document is none any more."""
    connection.hset(f"{ROOT}:deployment:{slug}", "document", NO_MSGPACK)
