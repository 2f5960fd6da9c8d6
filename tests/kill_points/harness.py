"""One kill point: a service that dies there, others that come after it, and what must hold then."""

import json
import os
import signal
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Any

import redis

from dispatcher.auditing import audit_pool
from dispatcher.models import Run
from dispatcher.store import Store
from tests.support.processes import Child, Children, state
from tests.support.waiting import wait_until, wait_until_sync

from .reaper import Point, Reaper
from .scenarios import SCENARIOS, Scenario, fired

PATIENCE = 90.0
LINGER_SECONDS = 7.5
ROOT = "sluice:{default}:"
# What a pool keeps that has no work left and no workers: settings, records, and what tells of what was.
KEPT = {
    "queue", "queues", "priorities", "limits", "r", "finished", "dead", "events", "counts", "rank", "watch", "bell",
    "publish", "publishers", "rejected", "idem", "log", "children", "reply", "deployment", "deployments", "schedule",
    "heartbeat", "inbox", "audit", "ready", "depth", "later", "mark", "moving", "schedules",
}  # fmt: skip


class Forker:
    """The process from which all others are forked."""

    def __init__(self, children: Children, folder: Path) -> None:
        self._path = str(folder / "forking")
        root = Path(__file__).parents[2]
        self._child: Child = children.python(
            "-m", "tests.kill_points.forking", self._path, cwd=root, env={"PYTHONPATH": str(root)}
        )
        wait_until_sync(lambda: "serves" in self._child.text(), description="the forker serves", timeout=60)

    def start(self, name: str, url: str) -> int:
        """Fork a process; its id."""
        return self._ask({"run": name, "url": url})

    async def ended(self, pid: int) -> int:
        """How a process ended that is about to."""

        await wait_until(
            lambda: state(pid) == "Z", description=f"process {pid} has ended: {self.tail()}", timeout=PATIENCE
        )
        return self._ask({"end": pid})

    def tail(self) -> str:
        """The last that was said."""
        return self._child.text()[-1500:]

    def _ask(self, asked: dict[str, Any]) -> int:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._path)
            connection.sendall(json.dumps(asked).encode())
            return int(json.loads(connection.recv(4096)))


class Death:
    """One life of a scenario's victim on an empty database: its end at a point, or its whole work without one."""

    def __init__(self, forker: Forker, scenario: Scenario, url: str, point: Point | None) -> None:
        self._forker, self._scenario, self._url, self._point = forker, scenario, url, point
        self.reaper = Reaper(url, point)
        self._dead: set[bytes] = set()

    async def happen(self) -> list[str]:
        """Live, die, be healed; what is wrong afterwards."""
        await self._scenario.begun(self._url)
        keepers = self._forker.start(self._scenario.keepers, self._url) if self._scenario.keepers else 0
        async with self.reaper as reaper:
            reaper.pid = self._forker.start(self._scenario.victim, reaper.url)
            code = await self._live(reaper.pid)
        if code and self._scenario.errand and not self._point:
            return [f"it ended with {code}: {self._forker.tail()}"]
        if self._point and not self.reaper.has_killed:
            await self._release(keepers)
            return [f"it was not killed: no call {self._point} among {Counter(self.reaper.calls)}"]
        if self._scenario.keepers != self._scenario.healers:
            await self._release(keepers)
            self._dead = self._workers()
            keepers = self._forker.start(self._scenario.healers, self._url)
        elif self._point:
            again = self._forker.start(self._scenario.victim, self._url)
            if code := await self._forker.ended(again):
                return [f"begun again it ended with {code}: {self._forker.tail()}"]
        await wait_until(
            self._is_drained, description=f"all is over after {self._point}", timeout=PATIENCE, interval=0.1
        )
        await self._release(keepers)
        return await self._faults()

    async def _live(self, pid: int) -> int:
        """Until it has died, or done all that it is made to do; how it ended."""
        # A reply that is waited for, of a read that blocks, may come after all is done; who is to leave is told to.
        done_at, lingers = float("inf"), LINGER_SECONDS if self._point and self._point.name != "leave" else 0

        async def is_over() -> bool:
            nonlocal done_at
            if self.reaper.has_killed or state(pid) == "Z":
                return True
            if await self._scenario.is_done(self._url):
                done_at = min(done_at, time.monotonic())
            return time.monotonic() - done_at >= lingers

        await wait_until(is_over, description=f"{self._point} is reached", timeout=PATIENCE, interval=0.05)
        return await self._end(pid, expected=self._scenario.errand and not self._point)

    async def _end(self, pid: int, *, expected: bool = False) -> int:
        if not expected:
            os.kill(pid, signal.SIGTERM)
        return await self._forker.ended(pid)

    async def _release(self, keepers: int) -> None:
        """Those who were there all the time end now, and not before."""
        if keepers:
            assert state(keepers) != "Z", f"the keepers ended by themselves: {self._forker.tail()}"
            code = await self._end(keepers)
            # The signal itself ends those that had only just begun.
            assert code in {0, -signal.SIGTERM}, f"the keepers ended with {code}: {self._forker.tail()}"

    async def _all(self) -> list[Run]:
        ids = [name[2:] for name in self._names() if name.startswith("r:")]
        async with Store(self._url) as store:
            return await store.runs.get_many("default", ids)

    async def runs(self) -> list[str]:
        """How the runs are, for people."""
        return [f"{run.id} {run.spec.function} {run.state} {run.reason} {run.worker}" for run in await self._all()]

    async def _is_drained(self) -> bool:
        is_done = await self._scenario.is_done(self._url)  # which cancels what only ends so
        if self._scenario.victim == "scheduler" and not is_done:
            return False  # what is to fire has no run yet
        runs = await self._all()
        return bool(runs) and all(run.state.is_terminal for run in runs) and self._is_quiet()

    def _names(self) -> list[str]:
        with redis.Redis.from_url(self._url) as plain:
            return [key.decode().removeprefix(ROOT) for key in plain.keys(ROOT + "*")]

    def _is_quiet(self) -> bool:
        """Nothing is to be taken in, and the workers that died are known no more."""
        with redis.Redis.from_url(self._url) as plain:
            return (
                not self._dead & self._workers()
                and not plain.exists(ROOT + "lost")
                and not plain.xlen(ROOT + "publish")
            )

    def _workers(self) -> set[bytes]:
        with redis.Redis.from_url(self._url) as plain:
            return set(plain.zrange(ROOT + "workers", 0, -1))

    async def _faults(self) -> list[str]:
        names = self._names()
        ids = [name[2:] for name in names if name.startswith("r:")]
        found = [f"left over: {name}" for name in names if name.partition(":")[0] not in KEPT]
        async with Store(self._url) as store:
            found += map(str, (await audit_pool(store.audit, "default")).violations)
            states = {run.id: run.state.value for run in await store.runs.get_many("default", ids)}
        found += [
            f"{run_id} is {states.get(run_id)}" for run_id, state in self._scenario.states.items()
            if states.get(run_id) != state
        ]  # fmt: skip
        with redis.Redis.from_url(self._url, decode_responses=True) as plain:
            ends = Counter(next(iter(fields.values())) for _, fields in plain.xrange(ROOT + "finished"))
            found += [f"{run_id} ended {times} times" for run_id, times in ends.items() if times != 1]
            found += [f"{run_id} has no end" for run_id in ids if run_id not in ends]
            found += _told_faults([fields["e"] for _, fields in plain.xrange(ROOT + "events")])
            limit = plain.hget(ROOT[:-1], "limit")
            found += _over_limit([fields["e"] for _, fields in plain.xrange(ROOT + "events")], int(limit or 0))
        if self._scenario.faults:
            found += await self._scenario.faults(self._url)
        if self._scenario.victim == "scheduler":
            async with redis.asyncio.Redis.from_url(self._url) as plain_async:
                count = await fired(plain_async)
            found += [f"the schedules have {count} runs, not 2"] * (count != 2 or len(ids) != 5)
        return found


def _told_faults(entries: list[str]) -> list[str]:
    return [line for entry in entries for line in entry.splitlines() if line.startswith("violated")]


def _over_limit(entries: list[str], limit: int) -> list[str]:
    """After which events more runs held a slot of the pool than may."""
    holders: set[str] = set()
    found: list[str] = []
    for line in (line for entry in entries for line in entry.splitlines()):
        kind, _, *ids = line.split()
        if kind in {"admitted", "resumed"}:
            holders.update(ids)
        elif kind in {"requeued", "retried", "scheduled", "suspended", "finished"}:
            holders.difference_update(ids)
        if limit and len(holders) > limit:
            found.append(f"{len(holders)} hold slots of {limit} after {line}")
    return found


__all__ = ["SCENARIOS", "Death", "Forker", "Point"]
