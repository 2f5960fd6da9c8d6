"""Workers: join, turn, heartbeat, leave, and what people see of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from redis.exceptions import RedisError

from .. import keys, scripts
from ..codec import decode_record, pack
from ..errors import InvalidInput, PoolNotFound, TooManyLanes, WorkerGone, WorkerNotFound, WorkerTypeMismatch
from ..log import get_logger
from ..models import HandOff, WorkerInfo
from ..unpacking import unpack
from . import connection
from .link import Entry, Link, root_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import redis


_log = get_logger("worker")
Claim: TypeAlias = tuple[str, str]
"""A run's id and the token of a claim on it."""


class Turn(NamedTuple):
    """A turn's answer, at the server's `now_ms`.

    `last` is the highest number given so far; `go` is 'drain', 'stop' or ''; `orders` cancel.
    """

    now_ms: int
    more: bool
    last: int
    refusals: list[bytes]
    go: str
    orders: list[Claim]
    runs: list[HandOff]


class Beat(NamedTuple):
    """A heartbeat's answer; `foreign` ids are named by the worker, given up to `seen`, but not its own."""

    go: str
    orders: list[Claim]
    foreign: list[str]
    seen: int


class Letters(NamedTuple):
    """What came into an inbox. `resumed` claims have their slots again. Its runs were sent at `sent_ms`, or later."""

    runs: list[HandOff]
    go: str
    orders: list[Claim]
    resumed: list[Claim]
    sent_ms: int = 0


@dataclass(frozen=True)
class Joining:
    """How a worker presents itself."""

    name: str
    lane: str
    capacity: int
    lease_ms: int
    type: str
    auto_start: bool
    info: dict[str, Any]
    queues: tuple[str, ...] = ()
    ahead_ms: int = 0
    site: str = ""


def _hand_off(words: bytes, spec: bytes) -> HandOff:
    number, token, attempt, crashes, rest = words.decode().split(":", 4)
    run_id, _, infrastructure = rest.partition(" ")
    return HandOff(int(number), token, int(attempt), int(crashes), run_id, spec, infrastructure)


def _hand_offs(worker: str, flat: list[bytes]) -> list[HandOff]:
    """Those that can be read. Who calls scripts by hand may give a run an id that is none; nobody can execute it."""
    found = []
    for words, spec in zip(flat[::2], flat[1::2], strict=True):
        try:
            found.append(_hand_off(words, spec))
        except ValueError as error:
            _log.error("run.unreadable", worker=worker, error=str(error), words=words[:200].decode(errors="replace"))
    return found


def _orders(row: list[bytes]) -> list[Claim]:
    return [(row[i].decode(), row[i + 1].decode()) for i in range(1, len(row), 2)]


class WorkerStore:
    """A worker's side of the protocol."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._turn = scripts.load("turn")

    async def join(self, pool: str, worker: Joining) -> None:
        """Present a worker. Repeatable. PoolNotFound, WorkerTypeMismatch, TooManyLanes, WorkerGone, ServerError."""
        info = pack(worker.info)
        reply = await self._link.call(
            "join", pool, self._link.now_ms, worker.name, worker.lane, worker.capacity, worker.lease_ms,
            worker.type, int(worker.auto_start), worker.site, worker.ahead_ms, info, *worker.queues,
        )  # fmt: skip
        if reply[0] == b"no_pool":
            raise PoolNotFound(pool)
        if reply[0] == b"gone":
            raise WorkerGone(worker.name)
        if reply[0] == b"type":
            raise WorkerTypeMismatch(pool, reply[1].decode(), worker.type)
        if reply[0] == b"lanes":
            raise TooManyLanes(pool, int(reply[1]))

    async def turn(self, pool: str, worker: str, seen: int, *, offer: bool, ends: Sequence[Any]) -> Turn:
        """One turn; `ends` is flat: id, token, outcome, argument, result. Raises WorkerGone, ServerError."""
        link = self._link
        reply = await link.run(self._turn, link.turns, pool, link.now_ms, worker, seen, int(offer), *ends)
        if reply[0] == b"gone":
            raise WorkerGone(worker)
        _, now, more, last, refusals, orders, flat = reply
        runs = _hand_offs(worker, flat)
        return Turn(now, bool(more), last, refusals, orders[0].decode(), _orders(orders), runs)

    async def start(self, pool: str, worker: str, runs: Sequence[tuple[str, str, str]]) -> list[str]:
        """Pending runs (id, token, infrastructure) run now: 'started', 'already', 'cancelling' or 'stale' for each."""
        flat = [part for run in runs for part in run]
        reply = await self._link.call("start", pool, self._link.now_ms, worker, *flat)
        if reply[0] == b"gone":
            raise WorkerGone(worker)
        return [status.decode() for status in reply[1:]]

    async def leave(self, pool: str, worker: str) -> None:
        """Go in good order; what is held is handed back, uncharged. Repeatable."""
        while True:
            reply = await self._link.call("leave", pool, self._link.now_ms, worker)
            if not reply[2] or reply[0] == b"gone":
                return

    async def read_inbox(self, pool: str, worker: str, last: str) -> tuple[str, Letters]:
        """What came after entry `last`, and the new last entry. Blocks up to 2 s. Raises ServerError."""
        inbox = keys.inbox(root_of(pool), worker)
        letters = Letters([], "", [], [])
        for entry, fields in _only(await self._link.read({inbox: last})):
            last = entry.decode()
            had_runs = bool(letters.runs)
            try:
                letters = _read_letter(letters, fields)
            except ValueError as error:  # none of ours; the next turn has the truth
                _log.warning("letter.refused", worker=worker, entry=last, error=str(error))
            if letters.runs and not had_runs:
                letters = letters._replace(sent_ms=int(last.partition("-")[0]))
        return last, letters

    async def spec(self, pool: str, run_id: str) -> bytes:
        """The spec of a run that was too large to be handed off, b'' when it is gone. Raises ServerError."""
        try:
            raw: bytes | None = await self._link.client.get(keys.record(root_of(pool), run_id))
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return decode_record(raw).spec if raw else b""

    async def suspend(self, pool: str, worker: str, claim: Claim) -> str:
        """Give a run's slots back while it waits: `suspended`, `cancelling` or `stale`. Repeatable. WorkerGone."""
        return await self._claimed("suspend", pool, worker, claim)

    async def resume(self, pool: str, worker: str, claim: Claim) -> str:
        """Ask for them: `resumed`, `waiting` (a letter tells), `cancelling` or `stale`. Repeatable. WorkerGone."""
        return await self._claimed("resume", pool, worker, claim)

    async def stuck(self, pool: str, worker: str, claim: Claim, *verdict: str | bytes) -> str:
        """Say what becomes of a run that cannot be ended once its worker goes: outcome, argument, result."""
        return await self._claimed("stuck", pool, worker, claim, *verdict)

    async def _claimed(self, script: str, pool: str, worker: str, claim: Claim, *more: str | bytes) -> str:
        status: bytes = await self._link.call(script, pool, self._link.now_ms, worker, *claim, *more)
        if status == b"gone":
            raise WorkerGone(worker)
        return status.decode()

    async def progress(self, pool: str, worker: str, said: Mapping[Claim, str]) -> None:
        """Tell how far runs are; what is too late is dropped. Repeatable."""
        flat = [word for (run_id, token), words in said.items() for word in (run_id, token, words)]
        await self._link.call("progress", pool, worker, *flat)

    async def drain(self, pool: str, worker: str, how: str = "drain") -> None:
        """Ask a worker to take no more runs and go; `stop`: after its grace at the latest. Raises WorkerNotFound."""
        if await self._link.call("drain", pool, worker, how) != b"ok":
            raise WorkerNotFound(worker)

    async def list(self, pool: str) -> list[WorkerInfo]:
        """The pool's live workers, by name."""
        root, client = root_of(pool), self._link.client
        try:
            leases = await client.zrange(keys.workers(root), 0, -1, withscores=True)
            found = [await self._info(pool, row[0].decode(), float(row[1])) for row in leases]
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return sorted((info for info in found if info), key=lambda info: info.id)

    async def _info(self, pool: str, name: str, lease: float) -> WorkerInfo | None:
        root = root_of(pool)
        async with self._link.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.worker(root, name))
            pipe.zrange(keys.worker_slots(root, name), 0, -1)
            row, held = await pipe.execute()
        if not row:
            return None
        info = _info_of(row.get(b"info", b""))
        return WorkerInfo(
            id=name, pool=pool, state=row[b"state"].decode(), lane=row[b"lane"].decode(),
            capacity=int(row[b"capacity"]),
            held=len(held), lease_ends_at=datetime.fromtimestamp(lease / 1000, UTC), type=info.get("type", ""),
            name=info.get("name", ""), host=info.get("host", ""), pid=info.get("pid", 0),
            version=info.get("version", ""), joined_at=datetime.fromtimestamp(int(row[b"joined"]) / 1000, UTC),
            runs=tuple(run_id.decode() for run_id in held),
        )  # fmt: skip


def _info_of(packed: bytes) -> dict[str, Any]:
    """What a worker says of itself; what cannot be read it does not say."""
    try:
        found = unpack(packed) if packed else {}
    except InvalidInput:
        return {}
    kinds = {"name": str, "host": str, "type": str, "version": str, "pid": int}
    known = found if isinstance(found, dict) else {}
    return {name: known[name] for name, kind in kinds.items() if isinstance(known.get(name), kind)}


def _only(streams: list[tuple[str, list[Entry]]]) -> list[Entry]:
    return streams[0][1] if streams else []


def _read_letter(letters: Letters, fields: dict[bytes, bytes]) -> Letters:
    for name, value in fields.items():
        if name == b"cancel":
            run_id, token = value.decode().split(":", 1)
            letters.orders.append((run_id, token))
        elif name == b"resume":
            run_id, token = value.decode().split(":", 1)
            letters.resumed.append((run_id, token))
        elif name in {b"drain", b"stop"}:
            letters = letters._replace(go=name.decode())
        else:
            letters.runs.append(_hand_off(name, value))
    return letters


def beat_of(worker: str, seen: int, reply: list[Any]) -> Beat:
    """What the heartbeat script answered, to a beat that said `seen`. Raises WorkerGone."""
    if reply[0] == b"gone":
        raise WorkerGone(worker)
    _, _, orders, foreign = reply
    return Beat(orders[0].decode(), _orders(orders), [run_id.decode() for run_id in foreign], seen)


class Heartbeats:
    """Heartbeats of one worker from a thread, over a connection of their own."""

    def __init__(self, url: str, pool: str, worker: str, lease_seconds: float) -> None:
        self._url = url
        self._client: redis.Redis = connection.heartbeats(url, lease_seconds)
        self._script = scripts.load("heartbeat")
        self._root, self._worker = root_of(pool), worker

    def beat(self, seen: int, held: Sequence[str], show: dict[str, Any]) -> Beat:
        """Renew the lease. Raises WorkerGone, ServerError."""
        packed = pack(show)
        try:
            reply = self._script.run_blocking(self._client, self._root, 0, self._worker, seen, packed, *held)
        except (RedisError, OSError) as error:
            raise connection.server_error(self._url, error) from error
        return beat_of(self._worker, seen, reply)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
