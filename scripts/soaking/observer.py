"""What the pools' event streams tell, folded into who holds what; knows nothing of the engine but its events."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dispatcher.codec import decode_record

if TYPE_CHECKING:
    from .sentinels import Trio
    from .server import Redis

AT_ONCE = 1_000
_FREES = {"finished", "requeued", "retried", "scheduled"}
_UNLIMITED = float("inf")


@dataclass(slots=True)
class Claim:
    """A run in a worker's hands, from its admission to its end; `ended_ms` is 0 while it is."""

    worker: str
    admitted_ms: int
    ended_ms: int = 0
    how: str = ""
    apart: list[list[int]] = field(default_factory=list)
    """From when until when it was suspended, without slots; until 0 while it is."""

    def parts(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Those of a time, in ms, in which it had its slots."""
        for left, back in self.apart:
            yield begin, min(left, end)
            begin = max(begin, back or end)
        yield begin, end


@dataclass(slots=True)
class Seen:
    """One run as it was told of."""

    scopes: tuple[str, ...] = ()
    claims: list[Claim] = field(default_factory=list)
    held: bool = False
    finished: str = ""
    record: tuple[str, int, int, str] | None = None
    """Of the record of its end: state, claim token, crashes, worker."""


class Observer:
    """Follows one pool. `faults` has what must not be; `gaps` counts parts of the stream that went by unseen."""

    def __init__(self, server: "Redis | Trio", pool: str, capacities: dict[str, int]) -> None:
        self.pool, self._root, self._server = pool, f"sluice:{{{pool}}}", server
        self._capacities = capacities
        self._events, self._ends = "0-0", "0-0"
        self.runs: dict[str, Seen] = {}
        self.held: Counter[str] = Counter()
        self.limits: dict[str, float] = {}
        self.highest: dict[str, float] = defaultdict(float)
        """The highest limit that each scope ever had."""
        self.over: list[str] = []
        self.twice: list[str] = []
        self.violated: list[str] = []
        """What the dispatchers' own audit found."""
        self.gaps = 0
        self.ended = 0
        self.counts: Counter[str] = Counter()

    async def read(self) -> None:
        """Take up what was told since the last time. When the server is away it raises and nothing was taken up."""
        await self._read_events()
        await self._read_ends()

    async def _read_events(self) -> None:
        first = await self._server.connection.xrange(f"{self._root}:events", count=1)
        if self._events != "0-0" and (not first or _place(first[0][0]) > _place(self._events)):
            self.gaps += 1
        while entries := await self._after(f"{self._root}:events", self._events):
            lines = [
                (_place(entry)[0], line) for entry, fields in entries for line in fields[b"e"].decode().split("\n")
            ]
            await self._learn_scopes([line for _, line in lines])
            for ms, line in lines:
                self._take(ms, line)
            self._events = entries[-1][0].decode()

    async def _after(self, stream: str, place: str) -> Any:
        """What follows a place in a stream, and will be there after a failover, too."""
        return await self._server.sure(lambda server: server.xrange(stream, min=f"({place}", count=AT_ONCE))

    async def _learn_scopes(self, lines: list[str]) -> None:
        """The bucket of each new run stands in its record."""
        new = []
        for line in lines:
            kind, _, *words = line.split(" ")
            if kind in {"published", "scheduled"}:
                new += [run for run in words if run not in self.runs or not self.runs[run].scopes]
        records = await self._server.connection.mget([f"{self._root}:r:{run}" for run in new]) if new else []
        for run, raw in zip(new, records, strict=True):
            if raw is not None:
                queue, _, *keys = decode_record(raw).bucket.split("|")
                seen = self.runs.setdefault(run, Seen())  # its end may have been read first
                seen.scopes = ("pool", f"queue {queue}", *(f"key {key}" for key in keys))

    def _take(self, ms: int, line: str) -> None:
        kind, head, *words = line.split(" ")
        self.counts[f"{kind} {head}" if kind in {"finished", "requeued"} else kind] += len(words)
        if kind == "admitted":
            for run in words:
                self._admit(run, head, ms)
        elif kind == "resumed":
            for run in words:
                self._resume(run, head, ms)
        elif kind == "violated":
            self.violated += [f"the dispatchers' audit of {self.pool} found {head}: {word}" for word in words]
        elif kind in _FREES or kind == "suspended":
            for run in words:
                self._free(run, kind, head, ms)
        else:
            self._limit(kind, head, words)

    def _admit(self, run: str, worker: str, ms: int) -> None:
        seen = self.runs.setdefault(run, Seen())
        if seen.finished or (seen.claims and not seen.claims[-1].ended_ms):
            self.twice.append(f"{run} admitted although it is {seen.finished or 'held by ' + seen.claims[-1].worker}")
            self._free(run, "admitted", worker, ms)
        seen.claims.append(Claim(worker, ms))
        self._hold(run, worker)

    def _resume(self, run: str, worker: str, ms: int) -> None:
        seen = self.runs.setdefault(run, Seen())
        if seen.held or not (seen.claims and seen.claims[-1].apart):
            self.twice.append(f"{run} has its slots again although it never gave them back")
            return
        seen.claims[-1].apart[-1][1] = ms
        self._hold(run, worker)

    def _hold(self, run: str, worker: str) -> None:
        seen = self.runs[run]
        seen.held = True
        for scope in (*seen.scopes, f"worker {worker}"):
            self.held[scope] += 1
            if self.held[scope] > self._limit_of(scope):
                self.over.append(f"{run} is number {self.held[scope]} of {scope}, limit {self._limit_of(scope):g}")

    def _free(self, run: str, kind: str, head: str, ms: int) -> None:
        seen = self.runs.setdefault(run, Seen())
        if seen.held:
            seen.held = False
            for scope in (*seen.scopes, f"worker {seen.claims[-1].worker}"):
                self.held[scope] -= 1
        if kind == "suspended":
            if seen.claims:
                seen.claims[-1].apart.append([ms, 0])
            return
        if seen.claims and not seen.claims[-1].ended_ms:
            seen.claims[-1].ended_ms, seen.claims[-1].how = ms, f"{kind} {head}"
        if kind == "finished":
            if seen.finished:
                self.twice.append(f"{run} finished as {seen.finished}, then as {head}")
            seen.finished = head
            self.ended += 1

    def _limit(self, kind: str, head: str, words: list[str]) -> None:
        """Take up a limit that was set, if that is what the line tells."""
        if kind == "limit":
            scope, limit = f"key {head}", words[0]
        elif kind == "queue" and words[0] == "limit":
            scope, limit = f"queue {head}", words[1]
        elif kind == "pool" and head == "limit":
            scope, limit = "pool", words[0]
        else:
            return
        self.limits[scope] = _UNLIMITED if limit == "-" else float(limit)
        self.highest[scope] = max(self.highest[scope], self.limits[scope])

    def _limit_of(self, scope: str) -> float:
        if scope.startswith("worker "):
            return self._capacities[scope.removeprefix("worker ").rpartition("-")[0]]
        return self.limits.get(scope, self.limits.get(general(scope), _UNLIMITED))

    def highest_of(self, scope: str) -> float:
        """The highest limit that a scope of a run ever had."""
        return self.highest.get(scope) or self.highest.get(general(scope)) or _UNLIMITED

    async def _read_ends(self) -> None:
        """The stream of ends, and the record of each run in it: a second witness beside the events."""
        while entries := await self._after(f"{self._root}:finished", self._ends):
            ends = [(state.decode(), run.decode()) for _, fields in entries for state, run in fields.items()]
            records = await self._server.connection.mget([f"{self._root}:r:{run}" for _, run in ends])
            for (state, run), raw in zip(ends, records, strict=True):
                self._end(state, run, raw)
            self._ends = entries[-1][0].decode()

    def _end(self, state: str, run: str, raw: Any) -> None:
        seen = self.runs.setdefault(run, Seen())
        facts = decode_record(raw).facts if raw is not None else None
        if facts is None:
            self.twice.append(f"{run} is in the list of ends as {state}, its record is {'open' if raw else 'gone'}")
            return
        if seen.record is not None:
            self.twice.append(f"{run} is in the list of ends twice, as {seen.record[0]} and as {state}")
        seen.record = (facts[0], int(facts[4]), int(facts[3]), facts[5])
        if facts[0] != state:
            self.twice.append(f"{run} is in the list of ends as {state}, its record says {facts[0]}")


def general(scope: str) -> str:
    """The scope whose limit counts for a key that has none of its own."""
    return f"{scope.partition(':')[0]}:*" if scope.startswith("key ") else scope


def _place(entry: Any) -> tuple[int, int]:
    ms, _, number = (entry.decode() if isinstance(entry, bytes) else entry).partition("-")
    return int(ms), int(number)
