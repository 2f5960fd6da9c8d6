"""What a doctor reads of a server and its pools; nothing is written."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import NoPermissionError, NoScriptError, RedisError

from .. import keys, scripts
from .connection import server_error, unfit_version
from .link import Link, root_of
from .replies import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..clock import Clock

_CONFIG = ("appendfsync", "stream-node-max-bytes", "zset-max-listpack-entries", "zset-max-ziplist-entries")
# Asks the server itself, and does nothing: which of these commands may this user not call on this key ('@')?
_MAY_CALL = """#!lua flags=allow-oom
local refused = {}
for _, line in ipairs(ARGV) do
  local words = {}
  for word in line:gmatch('%S+') do words[#words + 1] = word == '@' and KEYS[1] or word end
  if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = words[1] end
end
return refused
"""
_COMMANDS = re.compile(r"\bp?call\(\s*'([A-Z]+)'")
_SPELT = {"XINFO": "XINFO STREAM @", "TIME": "TIME"}
_WRITES = (
    "SET sluice:x 1",
    "HSET sluice:x f v",
    "ZADD sluice:x 1 m",
    "XADD sluice:x * f v",
    "SADD sluice:x m",
    "DEL sluice:x",
)
_READ_DIRECTLY = ("XREAD STREAMS @ 0", "SCAN 0", "HGETALL @", "GETRANGE @ 0 0", "TTL @")


class ServerLook(NamedTuple):
    """A server at `place`: `info` of INFO, `config` of CONFIG GET, or why there is none.

    Its clock is ahead of ours by `ahead_ms`, known to within `slack_ms`, half the time that asking took.
    `unfit` says why it is too old.
    `default_may_not` has commands that the server's user `default` is forbidden on our keys, as far as we may know.
    """

    place: str
    info: dict[str, Any]
    config: dict[str, str]
    no_config: str
    ahead_ms: int
    slack_ms: int
    unfit: str | None
    default_may_not: list[str]


class PoolLook(NamedTuple):
    """A pool: queued runs by queue, classes that wait (queue|labels), the last tick, what is overdue, all in ms.

    `place` is the master that has it, '' where there is one alone.
    """

    name: str
    exists: bool
    paused: bool
    now_ms: int
    depth: dict[str, int]
    classes: list[str]
    tick_ms: int | None
    overdue: int
    due_since_ms: int | None
    lost: list[str]
    orphans: int
    has_test_clock: bool
    place: str = ""


def called_commands() -> list[str]:
    """What our scripts call, in words; `@` stands for a key."""
    called = {name for script in scripts.names() for name in _COMMANDS.findall(scripts.load(script).text)}
    return [_SPELT.get(name, f"{name} @ @ @ @") for name in sorted(called)]


async def _asking(client: Any, root: str, lines: list[str]) -> list[bytes]:
    sha = hashlib.sha1(_MAY_CALL.encode(), usedforsecurity=False).hexdigest()
    try:
        found: list[bytes] = await client.evalsha(sha, 1, root, *lines)
    except NoScriptError:
        await client.script_load(_MAY_CALL)
        found = await client.evalsha(sha, 1, root, *lines)
    return found


class Inspection:
    """Reads for `sluice doctor`. Methods raise ServerError."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def servers(self, clock: Clock) -> list[ServerLook]:
        """The server, or each master of a cluster, as far as this user may look."""
        return [await self._server(place, client, clock) for place, client in (await self._link.masters()).items()]

    async def _server(self, place: str, client: Any, clock: Clock) -> ServerLook:
        info: dict[str, Any] = {}
        try:
            for section in ("server", "memory", "persistence", "replication"):
                info |= await client.info(section)
            before, began = clock.now_ms(), clock.monotonic()
            seconds, micros = await client.time()
            took = int((clock.monotonic() - began) * 1000)
        except (RedisError, OSError) as error:
            raise server_error(place, error) from error
        config, no_config = await self._config(client)
        ahead = seconds * 1000 + micros // 1000 - before - took // 2
        return ServerLook(
            place, info, config, no_config, ahead, took // 2 + 1, unfit_version(info),
            await self._forbidden_to_default(client),
        )  # fmt: skip

    async def _config(self, client: Any) -> tuple[dict[str, str], str]:
        try:
            found: dict[Any, Any] = await client.config_get(*_CONFIG)
        except RedisError as error:  # forbidden, or renamed: everything else can still be looked at
            return {}, str(error)
        return {as_text(name): as_text(value) for name, value in found.items()}, ""

    async def _forbidden_to_default(self, client: Any) -> list[str]:
        found = []
        for words in _WRITES:
            try:
                answer = await client.execute_command("ACL", "DRYRUN", "default", *words.split())
            except RedisError:  # forbidden to us: nobody knows
                return []
            if as_text(answer) != "OK":
                found.append(words.split()[0])
        return found

    async def refused_commands(self, pool: str) -> list[str] | None:
        """Commands that our scripts and stores call and this user may not; None: it may not load the script that asks.

        That script does nothing else.
        """
        lines = [*called_commands(), *_READ_DIRECTLY]
        client, root = self._link.client, root_of(pool)
        try:
            found = await _asking(client, root, lines)
        except (NoScriptError, NoPermissionError):
            return None
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return sorted({name.decode() for name in found})

    async def pool(self, name: str) -> PoolLook:
        """A pool of the catalogue, which may be gone."""
        root = root_of(name)
        time, exists, paused, depth, tick, lost, orphans, test_clock, parked = await self._read(
            ("TIME",),
            ("EXISTS", root),
            ("HGET", root, "paused"),
            ("HGETALL", keys.depth(root)),
            ("HGET", keys.watch(root), "tick"),
            ("SMEMBERS", keys.lost(root)),
            ("ZCARD", keys.orphans(root)),
            ("EXISTS", keys.test_clock(root)),
            ("ZRANGE", keys.parked(root), 0, 999),
        )
        now = int(time[0]) * 1000 + int(time[1]) // 1000
        queued = _queued(depth)
        overdue, first = await self._read(
            ("ZCOUNT", keys.due(root), "-inf", now),
            ("ZRANGE", keys.due(root), 0, 0, "WITHSCORES"),
        )
        return PoolLook(
            name, bool(exists), paused == b"1", now, queued, await self._classes(root, queued, parked),
            int(tick) if tick else None, overdue, _score(first), sorted(map(as_text, lost)), orphans,
            bool(test_clock), await self._link.place(name),
        )  # fmt: skip

    async def _classes(self, root: str, queued: Iterable[str], parked: list[bytes]) -> list[str]:
        """Queue and labels of what waits: of the buckets in reach, and of those parked under a full key."""
        rows = await self._read(*(("ZRANGE", keys.classes(root, queue), 0, 999) for queue in queued))
        found = {as_text(member) for row in rows for member in row}
        return sorted(found | {"|".join(as_text(bucket).split("|")[:2]) for bucket in parked})

    async def _read(self, *commands: tuple[Any, ...]) -> list[Any]:
        return await self._link.execute(commands)


def _queued(depth: Any) -> dict[str, int]:
    return {as_text(queue): int(runs) for queue, runs in depth.items() if int(runs) > 0}


def _score(rows: Any) -> int | None:
    """The score of the first row, whichever protocol: RESP3 pairs them."""
    if not rows:
        return None
    first = rows[0]
    return int(float(first[1] if isinstance(first, list | tuple) else rows[1]))
