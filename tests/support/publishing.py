"""A publisher that is not Sluice: plain commands over a plain connection, and what it reads back."""

import json
from typing import Any

import msgpack
import redis

from .waiting import wait_until

ROOT = "sluice:{default}"
STREAM = f"{ROOT}:publish"


class Publisher:
    """Writes entries to the streams of the pool `default` and reads what became of them."""

    def __init__(self, url: str) -> None:
        self.redis: Any = redis.Redis.from_url(url)

    def add(self, document: Any = None, *, to: str = STREAM, entry: str = "*", **fields: Any) -> str:
        """XADD a document as JSON, or fields as they are; the entry's id."""
        given = fields if document is None else {"run": json.dumps(document), **fields}
        return self.redis.xadd(to, given, id=entry).decode()

    def add_msgpack(self, document: Any, *, to: str = STREAM) -> str:
        """XADD a document as msgpack."""
        return self.redis.xadd(to, {"run.mp": msgpack.packb(document)}).decode()

    def add_many(self, documents: list[Any], *, to: str = STREAM) -> None:
        """XADD many, in order, in one pipeline."""
        with self.redis.pipeline(transaction=False) as pipe:
            for document in documents:
                pipe.xadd(to, {"run": json.dumps(document)})
            pipe.execute()

    def unread(self, stream: str = STREAM) -> int:
        """How many entries nobody has handled."""
        return int(self.redis.xlen(stream))

    async def read(self, stream: str = STREAM, timeout: float = 30.0) -> None:
        """Return when all entries are handled."""
        await wait_until(lambda: self.unread(stream) == 0, description=f"{stream} is read", timeout=timeout)

    def rejected(self) -> list[dict[str, Any]]:
        """Rejected entries, fields as text but for `head`."""
        rows = self.redis.xrange(f"{ROOT}:rejected")
        return [
            {name.decode(): value if name == b"head" else value.decode() for name, value in fields.items()}
            for _, fields in rows
        ]

    def replies(self, name: str) -> list[dict[str, str]]:
        """What was told to a name: answers and ends."""
        rows = self.redis.xrange(f"{ROOT}:reply:{name}")
        return [
            {key.decode(): value.decode(errors="replace") for key, value in fields.items() if key != b"facts"}
            for _, fields in rows
        ]

    def backlog(self, bucket: str = "default|") -> list[str]:
        """Ids of the runs that wait in a bucket, in order."""
        return [fields[b"i"].decode() for _, fields in self.redis.xrange(f"{ROOT}:backlog:{bucket}")]

    def close(self) -> None:
        """Close the connection."""
        self.redis.close()
