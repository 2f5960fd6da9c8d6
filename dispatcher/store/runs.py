"""Runs: publish, cancel, wait, read."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from .. import codec, keys
from ..errors import CredentialsRefused, DecodeError, InvalidInput, PoolNotFound, QueueDeleting, RunNotFound
from ..ids import published_at_ms
from ..models import Run, RunState
from ..names import DURABILITY, split_bucket
from .durable import Durability, DurablePublisher
from .found import Found
from .link import Link, root_of

PUBLISH_AT_ONCE = 500
CANCEL_AT_ONCE = 64
MISSING = "missing"
REMEDY = (
    "Is it of a newer release? `sluice run cancel` ends one that is not over; one that is over goes with the retention"
)
_TOLD = {b"run", b"state", b"facts"}
_HELD = {b"pending", b"running", b"cancelling"}


class WireRun(NamedTuple):
    """A run as the publish script takes it."""

    id: str
    bucket: str
    extra: bytes
    spec: bytes


class End(NamedTuple):
    """How a run ended; `facts` is empty when they were too large to be told and are to be read."""

    state: str
    facts: bytes


def _when(ms: float | str | None) -> datetime | None:
    return datetime.fromtimestamp(float(ms) / 1000, UTC) if ms and float(ms) else None


class RunStore:
    """Transitions and readings of runs."""

    def __init__(self, link: Link, durability: Durability) -> None:
        self._link, self.durability = link, durability.level
        self._durable = DurablePublisher(link, durability.seconds)

    async def publish(self, pool: str, runs: Sequence[WireRun], durability: str | None = None) -> list[str]:
        """Publish; '' for each new run, 'exists', 'same <id>' or 'fenced' for the others. Repeatable.

        `durability` says what is to be known before this returns: names.DURABILITY; None, or what nobody knows, is this
        store's own level. Raises PoolNotFound, QueueDeleting, InvalidInput, ServerError: then none of these runs was
        published. NotDurable: they are.
        """
        flat: list[str | bytes] = []
        for run in runs:
            flat += run
        level = durability if durability in DURABILITY else self.durability
        if level == "fast":
            reply = await self._link.call("publish", pool, self._link.now_ms, *flat)
        else:
            reply = await self._durable.publish(pool, level, [run.id for run in runs], flat)
        if reply[0] == b"no_pool":
            raise PoolNotFound(pool)
        if reply[0] == b"deleting":
            raise QueueDeleting(pool, reply[1].decode())
        statuses = [""] * len(runs)
        for index, status in zip(reply[3::2], reply[4::2], strict=True):
            statuses[index] = status.decode()
        return statuses

    async def cancel(self, pool: str, ids: Sequence[str], reason: str = "asked", *, tree: bool = False) -> list[str]:
        """Cancel; `cancelled`, `cancelling`, `already` or `missing` for each. Repeatable.

        `tree`: children too, in other pools as well; in those that this user may not use, a dispatcher does it.
        """
        statuses = await self._cancel(pool, ids, reason, tree=tree)
        if tree:
            with suppress(CredentialsRefused):
                await self.cancel_abroad(pool)
        return statuses

    async def cancel_abroad(self, pool: str) -> None:
        """Cancel what trees that were cancelled in this pool have in others, and what is below. Repeatable."""
        pools = [pool]
        while pools:
            here = pools.pop()
            (found,) = await self._link.execute([("SRANDMEMBER", keys.abroad(root_of(here)), CANCEL_AT_ONCE)])
            if not found:
                continue
            pools.append(here)
            for target, ids in _by_pool(found).items():
                await self._cancel(target, ids, "parent_cancelled", tree=True)
                pools.append(target)
            await self._link.execute([("SREM", keys.abroad(root_of(here)), *found)])

    async def note_abroad(self, pool: str, claim: tuple[str, str], target: str, ids: Sequence[str]) -> bool:
        """Note children that this claim has in another pool; False when it may not have them. Repeatable."""
        members = [f"{run_id}@{target}" for run_id in ids]
        (status,) = await self._link.call("abroad", pool, *claim, *members)
        return bool(status == b"ok")

    async def _cancel(self, pool: str, ids: Sequence[str], reason: str, *, tree: bool) -> list[str]:
        reply = await self._link.call("cancel", pool, self._link.now_ms, reason, int(tree), *ids)
        more = bool(reply[0]) and tree
        while more:
            more = bool((await self._link.call("sweep", pool, self._link.now_ms))[0])
        return [status.decode() for status in reply[1:]]

    async def wait(self, pool: str, client: str, ids: Sequence[str]) -> list[End | None]:
        """The end of each run, state MISSING when there is no such run; None when the reply stream will tell."""
        answers = await self._link.call("wait", pool, client, *ids)
        return [
            End(MISSING, b"") if answer == 0 else End(answer[0].decode(), answer[1]) if answer else None
            for answer in answers
        ]

    async def read_replies(self, client: str, last: dict[str, str]) -> list[tuple[str, str, End]]:
        """Ends told to this client since `last` (pool -> entry, moved on here): pool, run id, end. Blocks up to 2 s."""
        streams = {keys.reply(root_of(pool), client): entry for pool, entry in last.items()}
        pools = dict(zip(streams, last, strict=True))
        found: list[tuple[str, str, End]] = []
        for name, entries in await self._link.read(streams):
            pool = pools[name]
            for entry, fields in entries:
                last[pool] = entry.decode()
                if not fields.keys() >= _TOLD:  # an answer of intake, whose publisher took this client's name
                    continue
                run, state = (fields[name].decode(errors="replace") for name in (b"run", b"state"))
                found.append((pool, run, End(state, fields[b"facts"])))
        return found

    async def are_current(self, pool: str, claims: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether each claim (run id, token) is held by a worker, or waits to be adopted. Raises ServerError."""
        root, client = root_of(pool), self._link.client
        try:
            async with client.pipeline(transaction=False) as pipe:
                for run_id, _ in claims:
                    pipe.hmget(keys.facts(root, run_id), "token", "state")
                rows = await pipe.execute()
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return [row == [claim[1].encode(), row[1]] and row[1] in _HELD for claim, row in zip(claims, rows, strict=True)]

    async def are_known(self, pool: str, ids: Iterable[str]) -> list[bool]:
        """Whether each run has a record. Raises ServerError."""
        root = root_of(pool)
        return [bool(found) for found in await self._link.execute(("EXISTS", keys.record(root, run)) for run in ids)]

    async def get(self, pool: str, run_id: str) -> Run:
        """The run as it is now. Raises RunNotFound, DecodeError."""
        found = await self.read_many(pool, [run_id])
        if found.unreadable:
            raise DecodeError(f"the record of run {run_id} cannot be read: {found.unreadable[run_id]}. {REMEDY}")
        if not found.rows:
            raise RunNotFound(run_id)
        return found.rows[0]

    async def read_many(self, pool: str, ids: Iterable[str]) -> Found[Run]:
        """The runs of these ids that there are, in that order, and those that cannot be read."""
        root, wanted = root_of(pool), list(ids)
        async with self._link.client.pipeline(transaction=False) as pipe:
            for run_id in wanted:
                pipe.get(keys.record(root, run_id))
                pipe.hgetall(keys.facts(root, run_id))
                pipe.zscore(keys.due(root), "r" + run_id)
            rows = await self._execute(pipe)
        triples = zip(wanted, rows[::3], rows[1::3], rows[2::3], strict=True)
        found = Found[Run]([], {})
        for run_id, raw, facts, due in triples:
            try:
                if raw:
                    found.rows.append(_run(pool, run_id, raw, facts, due))
            except DecodeError as error:
                found.unreadable[run_id] = str(error)
        return found

    async def get_many(self, pool: str, ids: Iterable[str]) -> list[Run]:
        """As `read_many`, where all are to be read. Raises PartlyUnreadable."""
        return (await self.read_many(pool, ids)).whole("run", REMEDY)

    async def _execute(self, pipe: Any) -> list[Any]:
        try:
            result: list[Any] = await pipe.execute()
        except (RedisError, OSError) as error:
            raise self._link.error(error) from error
        return result


def _by_pool(members: Iterable[bytes]) -> dict[str, list[str]]:
    """Ids by pool, of members `id@pool`."""
    found: dict[str, list[str]] = {}
    for member in members:
        run_id, _, pool = member.decode().partition("@")
        found.setdefault(pool, []).append(run_id)
    return found


def _error_text(result: Any) -> str:
    return str(result.get("error", result)) if isinstance(result, dict) else str(result or "")


def _run(pool: str, run_id: str, raw: bytes, facts: dict[bytes, bytes], due: float | None) -> Run:
    """Raises DecodeError for what is no record."""
    try:
        return _read_run(pool, run_id, raw, facts, due)
    except (InvalidInput, ValueError, TypeError, LookupError, OverflowError, OSError) as error:
        raise DecodeError(str(error)) from error


def _read_run(pool: str, run_id: str, raw: bytes, facts: dict[bytes, bytes], due: float | None) -> Run:
    record = codec.decode_record(raw)
    queue, labels, held_keys = split_bucket(record.bucket)
    spec = codec.decode_spec(record.spec)
    published = published_at_ms(run_id) if len(run_id) == 32 and run_id[12] == "7" else record.entry_ms
    base: dict[str, Any] = {
        "id": run_id, "pool": pool, "queue": queue, "labels": labels, "keys": held_keys, "spec": spec,
        "published_at": _when(published), "scheduled_for": _when(due or spec.at),
    }  # fmt: skip
    if record.facts:
        return Run(**base, **_final(record.facts))
    if facts:
        return Run(**base, **_current({key.decode(): value for key, value in facts.items()}))
    state = RunState.QUEUED if record.entry_ms else RunState.SCHEDULED
    return Run(**base, state=state)


def _final(facts: list[Any]) -> dict[str, Any]:
    state, reason, attempt, crashes, token, worker, infrastructure, admitted, started, finished, packed = facts
    result = codec.unpack(packed) if packed else None
    return {
        "state": RunState(state), "reason": reason, "attempt": attempt, "crashes": crashes, "claim_token": token,
        "worker": worker, "infrastructure": infrastructure, "admitted_at": _when(admitted),
        "started_at": _when(started), "finished_at": _when(finished),
        "result": result if state == "completed" else None,
        "error": "" if state == "completed" else _error_text(result),
    }  # fmt: skip


def _current(facts: dict[str, bytes]) -> dict[str, Any]:
    def text(name: str) -> str:
        return facts.get(name, b"").decode()

    error = _error_text(codec.unpack(facts["error"])) if facts.get("error") else ""
    return {
        "state": RunState(text("state")), "reason": text("reason"), "attempt": int(text("attempt") or 0),
        "crashes": int(text("crashes") or 0), "claim_token": int(text("token") or 0), "worker": text("worker"),
        "infrastructure": text("infrastructure"), "admitted_at": _when(text("admitted")),
        "started_at": _when(text("started") or (text("admitted") if text("state") == "running" else "")),
        "error": error, "progress": text("progress"),
    }  # fmt: skip


def end_result(run_id: str, end: End) -> tuple[str, str, Any]:
    """State, reason and result (or error text) of an end whose facts were told."""
    facts = codec.decode_facts(end.facts)
    if len(facts) != 11:
        raise DecodeError(f"run {run_id} has facts of another version")
    result = codec.unpack(facts[10]) if facts[10] else None
    return end.state, str(facts[1]), result if end.state == "completed" else _error_text(result)
