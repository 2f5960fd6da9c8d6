"""One soak from its beginning to its verdict."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatcher import Client

from .audit import Audit
from .encryption import Encryption
from .faults import AWAY, Faults
from .judge import Verdict, judge
from .load import POOL, PROCESS_WORKER_LIMIT, PROCESSES, SCHEDULE, WORKER_LIMIT, prepare
from .members import Crew
from .network import Network
from .notes import Journals, Tail, Witness
from .observer import Observer
from .recovery import Recovery, measure, unattended
from .sentinels import Trio
from .server import Redis, SoakError
from .timetable import Planned, draw

DRAIN = 60.0
"""Seconds until everything that waits has to be over, beside what is still to be worked off."""
READY = 90.0
_LEFT = (
    "slots",
    "backlog:",
    "front:",
    "awake:",
    "classes:",
    "waiters:",
    "waiting",
    "parked",
    "suspended",
    "resuming",
    "listeners:",
    "orphans",
)


@dataclass(frozen=True)
class Options:
    """What is asked of a soak."""

    seed: int
    duration: float
    faults: Mapping[str, int]
    server: str
    folder: Path
    topology: str = "one"
    tls: bool = False
    rate: float = 40.0
    lease: float = 3.0


@dataclass
class Outcome:
    """What came of it."""

    verdict: Verdict
    crew: Crew
    faults: Faults
    observers: list[Observer]
    journals: Journals
    server: Redis | Trio
    recovery: Recovery
    audit: Audit
    drained_in: float


class Soak:
    """Everything of one soak; `say` is told each step."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        folder = options.folder
        self._options, self._say = options, say
        self._server = _server(options)
        self._network = Network(folder, self._server, options.seed)
        self._crew = Crew(
            folder, self._network.url_of, seed=options.seed, rate=options.rate / 2, lease=options.lease,
            durability=self._server.durability,
        )  # fmt: skip
        self._client = Client(self._server.url, pool=POOL)
        self._audit = Audit(self._server.url)
        self._faults = Faults(self._server, self._network, self._crew, self._client)
        self._journals = Journals([Tail(folder / f"{member.name}.journal") for member in self._crew.of("publisher")])
        self._witness = Witness(Tail(folder / "witness.txt"))
        capacities = {"worker-0": WORKER_LIMIT, "worker-1": WORKER_LIMIT, "worker-2": PROCESS_WORKER_LIMIT}
        self._observers = [Observer(self._server, pool, capacities) for pool in (POOL, PROCESSES)]

    async def play(self) -> Outcome:
        """Do it all. Raises SoakError when the soak itself is not possible."""
        try:
            return await self._play()
        finally:
            self._crew.kill()
            self._network.stop()
            await self._client.close()
            await self._server.stop()

    async def _play(self) -> Outcome:
        options = self._options
        plan = draw(options.seed, options.duration, options.faults, options.lease)
        (options.folder / "plan.txt").write_text("\n".join(map(str, plan)) + "\n")
        await self._server.start()
        await prepare(self._client)
        await self._network.start()
        await self._crew.start()
        background = [asyncio.create_task(work) for work in (self._crew.supervise(), self._watch())]
        try:
            await self._first(background, self._ready())
            self._say(f"{options.duration:g} s, {len(plan)} faults; all is in {options.folder}")
            background.append(asyncio.create_task(self._look(options.duration / 3)))
            await self._first(background, self._hurt(plan))
            self._say("healing")
            await self._first(background, self._heal())
            drained = await self._first(background, self._drain())
            left = await self._left()
            await self._audit.look(must=True)
        finally:
            await _end(background)
        return await self._judge(drained, left)

    async def _ready(self) -> None:
        """Returns when each publisher was acknowledged something, and each pool has finished something."""
        until = time.monotonic() + READY
        while not (self._journals.are_all_heard() and all(observer.ended for observer in self._observers)):
            if time.monotonic() > until:
                raise SoakError(f"nothing came of the first runs in {READY:g} s: see {self._options.folder}")
            await asyncio.sleep(0.05)

    async def _hurt(self, plan: Sequence[Planned]) -> None:
        began = time.monotonic()
        await self._faults.play(plan)
        await asyncio.sleep(self._options.duration - (time.monotonic() - began))

    async def _look(self, every: float) -> None:
        """Let the audit look in the middle of it all, too."""
        while True:
            await asyncio.sleep(every)
            await self._audit.look()

    async def _first(self, background: list[asyncio.Task[None]], work: Any) -> Any:
        """Do something while the background goes on; what breaks there breaks it all."""
        working = asyncio.ensure_future(work)
        done, _ = await asyncio.wait([working, *background], return_when=asyncio.FIRST_COMPLETED)
        if working not in done:
            working.cancel()
            for task in done:
                task.result()
            raise SoakError("the background of the soak ended")
        return working.result()

    async def _watch(self) -> None:
        shown = time.monotonic()
        while True:
            await self._read()
            if time.monotonic() - shown >= 10:
                shown = time.monotonic()
                self._say(self._progress())
            await asyncio.sleep(0.1)

    async def _read(self) -> None:
        self._journals.read()
        self._witness.read()
        for observer in self._observers:
            with suppress(*AWAY):
                await observer.read()

    def _progress(self) -> str:
        runs = sum(len(observer.runs) for observer in self._observers)
        over = sum(bool(seen.finished) for observer in self._observers for seen in observer.runs.values())
        deaths = sum(len(member.deaths) for member in self._crew.members.values())
        return f"{runs} runs, {over} over, {sum(self._faults.done.values())} faults, {deaths} processes ended"

    async def _heal(self) -> None:
        until = time.monotonic() + DRAIN
        while True:
            try:
                await self._faults.heal()
                await self._client.deployments.pause(SCHEDULE)
                break
            except AWAY as error:
                if time.monotonic() > until:
                    raise SoakError(f"the server does not come back: {error}") from error
                await asyncio.sleep(0.2)
        await self._crew.retire("publisher")

    async def _drain(self) -> float:
        """Seconds until everything was over, -1 when it never was."""
        began = last = time.monotonic()
        least = sys.maxsize
        while open_ := await self._open():
            now = time.monotonic()
            if open_ < least:
                least, last = open_, now
            if now - last > DRAIN:
                return -1.0
            await asyncio.sleep(0.1)
        await asyncio.sleep(2 * self._options.lease / 3)  # all that might still come back would have
        return time.monotonic() - began

    async def _open(self) -> int:
        waiting = 0
        for name in (POOL, PROCESSES):
            pool = await self._client.pools.get(name)
            unread = await self._server.connection.xlen(f"sluice:{{{name}}}:publish")
            waiting += pool.running + pool.queued + pool.scheduled + unread
        return waiting

    async def _left(self) -> list[str]:
        """Keys that should have gone with the last run."""
        found = []
        for pool in (POOL, PROCESSES):
            root = f"sluice:{{{pool}}}:"
            keys = [key.decode() async for key in self._server.connection.scan_iter(f"{root}*", count=1000)]
            found += [f"{key} is left over" for key in keys if key.removeprefix(root).startswith(_LEFT)]
        return found

    async def _judge(self, drained: float, left: list[str]) -> Outcome:
        for role in ("worker", "scheduler", "dispatcher"):
            await self._crew.retire(role)
        await self._read()
        members = list(self._crew.members.values())
        verdict = judge(self._journals, self._witness, self._observers, members, self._server.failovers)
        verdict.others += [*left, *self._audit.faults, *(said for o in self._observers for said in o.violated)]
        if drained < 0:
            verdict.others.append(f"not drained: nothing more ended in {DRAIN:g} s")
        touched = [*self._faults.touched, *unattended(members, self._faults.cut_off)]
        recovery = measure(self._observers, members, touched, self._options.lease)
        return Outcome(
            verdict, self._crew, self._faults, self._observers, self._journals, self._server, recovery, self._audit,
            drained,
        )  # fmt: skip


def _server(options: Options) -> Redis | Trio:
    folder = options.folder / "server"
    if options.topology == "sentinel":
        return Trio(options.server, folder)
    if not options.tls:
        return Redis(options.server, folder)
    encryption = Encryption(options.folder / "certificates")
    return Redis(options.server, folder, encryption.settings, encryption.files, encryption.address)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended: a cancel that meets a reply may be taken for a timeout."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=0.5)


def shorten(found: list[str], most: int = 5) -> str:
    """The first few sentences as JSON, for a table."""
    return json.dumps(found[:most])
