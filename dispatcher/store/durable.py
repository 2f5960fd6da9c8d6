"""Publishing that is answered when it is safe: on the master's disk, or in a replica's memory.

One pipeline over one connection: the publish, a mark, and a command that proves that the mark is safe; then all that
was written before it is. The mark is there because WAIT and WAITAOF count only what their own connection wrote: a
publish that is sent again writes nothing, and would be proven by nothing. Publish and proof come from one server, so a
failover between two tries proves nothing that the new master does not have.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError

from .. import scripts
from ..errors import CredentialsRefused, NotDurable, ServerSilent, ServerUnfit, SluiceError
from ..names import check_durability
from ..redaction import hide_passwords
from . import connection
from .link import Link, root_of
from .replies import as_text

_FLUSHED = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
"""With these a server answers a write when it is on its disk, also while it rewrites its file."""

_REMEDY = "`CONFIG SET " + " ".join(f"{name} {value}" for name, value in _FLUSHED.items()) + "`"
_THREE_FSYNCS = 1.8
"""Seconds; fsyncs that are a second apart take two, and whoever does not wait for them takes milliseconds."""


class Proof(NamedTuple):
    """The command that proves a write, and what its answer means: '' proven, else how far it came."""

    command: tuple[str | int, ...]
    judge: Callable[[Any], str]


class Durability(NamedTuple):
    """The level of publishes that ask for none, and for how many seconds a publish waits for its proof."""

    level: str = "fast"
    seconds: float = 5.0


FAST = Durability()


class DurablePublisher:
    """Publishes at the levels `fsync` and `replicated`. What the server can prove is asked once and after a failure."""

    def __init__(self, link: Link, seconds: float) -> None:
        self._link, self._seconds = link, seconds
        self._proofs: dict[str, Proof] = {}

    async def publish(self, pool: str, level: str, run_ids: Sequence[str], args: Sequence[scripts.Argument]) -> Any:
        """Publish; the reply of the script. Repeatable, and waits for what a first try has written, too.

        Raises NotDurable when it is published and not proven, ServerUnfit when it cannot be proven here: then nothing
        was published. Other ServerErrors leave open which.
        """
        try:
            async with asyncio.timeout(self._seconds + connection.CALL_SECONDS):
                proof = self._proofs.get(level) or await self._find(pool, level)
                reply, marked, answer = await self._sent(pool, proof, args)
            missing = "" if reply[0] != b"ok" else _missing(marked, answer, proof)
        except (TimeoutError, RedisError, OSError) as error:
            self._proofs.clear()  # the next one may meet another server, or the same one set otherwise
            raise self._explained(error) from error
        if missing:
            self._proofs.clear()
            raise NotDurable(level, run_ids, missing)
        return reply

    def _explained(self, error: Exception) -> SluiceError:
        if type(error) is TimeoutError:
            seconds = self._seconds + connection.CALL_SECONDS
            return ServerSilent(hide_passwords(self._link.url), f"silent for {seconds:g} s")
        return self._link.error(error)

    async def _sent(self, pool: str, proof: Proof, args: Sequence[scripts.Argument]) -> tuple[Any, Any, Any]:
        """Replies of publish, mark and proof. Where the server lacks the scripts it is told of them first."""
        rows = await self._travelled(pool, proof, args)
        if any(isinstance(row, NoScriptError) for row in rows):
            first = await self._link.call("publish", pool, self._link.now_ms, *args)
            await self._link.call("mark", pool, self._link.now_ms)
            rows = await self._travelled(pool, proof, args)
            rows[0] = _merged(first, rows[0])
        if isinstance(rows[0], Exception):
            raise rows[0]
        return rows[0], rows[1], rows[2]

    async def _travelled(self, pool: str, proof: Proof, args: Sequence[scripts.Argument]) -> list[Any]:
        root, now = root_of(pool), self._link.now_ms
        async with self._link.durable.pipeline(transaction=False) as pipe:
            pipe.execute_command("EVALSHA", scripts.load("publish").sha, 1, root, now, *args)
            pipe.execute_command("EVALSHA", scripts.load("mark").sha, 1, root, now)
            pipe.execute_command(*proof.command)
            rows: list[Any] = await pipe.execute(raise_on_error=False)
        return rows

    async def _find(self, pool: str, level: str) -> Proof:
        find = self._find_fsync if level == "fsync" else self._find_replicated
        proof = self._proofs[check_durability(level)] = await find(pool, max(1, round(1000 * self._seconds)))
        return proof

    async def _find_replicated(self, _pool: str, wait_ms: int) -> Proof:
        await self._try("replicated", "WAIT", 0, 1)
        found: Mapping[str, Any] = await self._link.durable.info("replication")
        if not int(found.get("connected_slaves", 0)):
            raise self._unfit("replicated", "has no replica: start one (`replicaof`), or wait until it is connected")
        return Proof(("WAIT", 1, wait_ms), lambda count: "" if count >= 1 else f"no replica had it within {wait_ms} ms")

    async def _find_fsync(self, pool: str, wait_ms: int) -> Proof:
        found: Mapping[str, Any] = await self._link.durable.info("persistence")
        if not int(found.get("aof_enabled", 0)):
            raise self._unfit("fsync", "has no append-only file: `CONFIG SET appendonly yes`")
        command = ("CONFIG GET", *_FLUSHED)
        await self._try("fsync", *command)
        why = _unflushed(await self._link.durable.execute_command(*command))
        if not why:
            return Proof(command, _unflushed)
        if not await self._try("fsync", "WAITAOF", 0, 0, 1):
            raise self._unfit("fsync", f"has {why}, and no WAITAOF, which came with Redis 7.2: {_REMEDY}")
        if not await self._waits_for_its_disk(pool, wait_ms):
            raise self._unfit("fsync", f"has {why}, and its WAITAOF answers before the disk does: {_REMEDY}")
        said = f"it was not on the master's disk within {wait_ms} ms"
        return Proof(("WAITAOF", 1, 0, wait_ms), lambda counts: "" if counts[0] >= 1 else said)

    async def _waits_for_its_disk(self, pool: str, wait_ms: int) -> bool:
        """Whether WAITAOF is to be believed: with everysec, three marks one after the other need two seconds.

        Redis from 7.4 until it was corrected there (its pull request 13793) and Valkey, 9.1 at least, take what is
        written less than a second after an fsync for written to disk.
        """
        await self._link.call("mark", pool, self._link.now_ms)
        clock = asyncio.get_running_loop().time
        began = clock()
        for _ in range(3):
            async with self._link.durable.pipeline(transaction=False) as pipe:
                pipe.execute_command("EVALSHA", scripts.load("mark").sha, 1, root_of(pool), self._link.now_ms)
                pipe.execute_command("WAITAOF", 1, 0, wait_ms)
                await pipe.execute()
        return clock() - began > _THREE_FSYNCS

    async def _try(self, level: str, *command: str | int) -> bool:
        """Whether the server knows a command. Raises CredentialsRefused where this user may not use it."""
        try:
            await self._link.durable.execute_command(*command)
        except NoPermissionError as error:
            shown, words = hide_passwords(self._link.url), str(command[0])
            raise CredentialsRefused(
                f"nothing was published: for durability {level!r} the user at {shown} needs {words}: "
                f"`ACL SETUSER ... +{words.lower().replace(' ', '|')}`"
            ) from error
        except ResponseError as error:
            if "unknown command" in str(error).lower():
                return False
            raise
        return True

    def _unfit(self, level: str, why: str) -> ServerUnfit:
        shown = hide_passwords(self._link.url)
        return ServerUnfit(f"nothing was published: for durability {level!r} the server at {shown} {why}")


def _missing(marked: Any, answer: Any, proof: Proof) -> str:
    """Why it is not proven, '' when it is."""
    for row in (marked, answer):
        if isinstance(row, Exception):
            return f"the server said {row}"
    return proof.judge(answer)


def _unflushed(found: Any) -> str:
    """What of a server's settings lets it answer before a write is on its disk."""
    texts = {as_text(name): as_text(value) for name, value in dict(found).items()}
    return ", ".join(f"{name} {texts.get(name, '?')}" for name, value in _FLUSHED.items() if texts.get(name) != value)


def _merged(first: Any, second: Any) -> Any:
    """What the second try says, but runs that the first one published are new."""
    if isinstance(second, Exception) or second[0] != b"ok":
        return second
    known = set(first[3::2])
    pairs = zip(second[3::2], second[4::2], strict=True)
    kept = [word for index, status in pairs if index in known or status != b"exists" for word in (index, status)]
    return [*second[:3], *kept]
