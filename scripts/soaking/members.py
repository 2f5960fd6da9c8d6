"""The processes of the soak: services, workers, publishers; started as a user would, and again when they ended."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dispatcher.embedded.process import Child

from .load import POOL, PROCESS_WORKER_LIMIT, PROCESSES, WORKER_LIMIT
from .timetable import EVERYBODY

SCRIPTS = Path(__file__).resolve().parents[1]
AGAIN = 0.25
"""Seconds until a supervisor starts what ended."""
FAREWELL = 15.0
EXPECTED = {-signal.SIGKILL, -signal.SIGSEGV, 9, 75}
"""How a worker may end by itself: poison runs take it along (9: os._exit), or it is stuck (75)."""
UNREACHABLE = 6
"""How a command ends that finds no server when it starts; whoever has begun to serve must bear that."""
BEGUN = (b'"dispatcher.started"', b'"scheduler.started"', b'"worker.joined"')

ASKED = {0, -signal.SIGKILL, -signal.SIGTERM}
"""How a process ends that was told to; SIGTERM itself ends one that is only starting."""


@dataclass(frozen=True)
class Death:
    """A process that ended: when (seconds since 1970), its pid, how."""

    at: float
    pid: int
    code: int


@dataclass
class Member:
    """One place in the crew, whoever fills it just now."""

    name: str
    words: Callable[[int], list[str]]
    environment: dict[str, str]
    folder: Path
    incarnation: int = 0
    logged: int = 0
    """Bytes of its log when its present process began."""
    child: Child | None = None
    asked: bool = False
    """Whether its present process was told to end."""
    deaths: list[Death] = field(default_factory=list)
    frozen: list[tuple[float, float]] = field(default_factory=list)
    absent: list[tuple[float, float]] = field(default_factory=list)
    """From when until when nobody served in its place."""
    strange: list[str] = field(default_factory=list)
    """Ends that nobody caused."""

    @property
    def role(self) -> str:
        """What it is: worker, dispatcher, ..."""
        return self.name.partition("-")[0]

    @property
    def log(self) -> Path:
        """What all its processes wrote."""
        return self.folder / f"{self.name}.log"

    async def start(self) -> None:
        """Start the next process."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        words = ["/usr/bin/env", *variables, *self.words(self.incarnation)]
        self.asked = False
        self.logged = self.log.stat().st_size if self.log.exists() else 0
        self.child = await asyncio.to_thread(Child, words, folder=SCRIPTS, log=self.log)
        self.incarnation += 1

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it lives."""
        if self.child is not None and self.child.exit_code is None:
            self.asked = self.asked or number in {signal.SIGTERM, signal.SIGKILL}
            os.kill(self.child.pid, number)

    async def freeze(self, seconds: float) -> None:
        """Stop it where it is, and let the same process go on later."""
        child, began = self.child, time.time()
        self.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.frozen.append((began, time.time()))
        if child is not None and child.exit_code is None:
            os.kill(child.pid, signal.SIGCONT)

    def bury(self) -> bool:
        """Note the end of its process; tell whether there was one."""
        if self.child is None or (code := self.child.exit_code) is None:
            return False
        self.deaths.append(Death(time.time(), self.child.pid, code))
        self.absent.append((self.absent.pop()[0] if self.is_coming else time.time(), float("inf")))
        if not self.asked and not self._may_end(code):
            self.strange.append(f"{self.name} ended by itself, exit code {code}: see {self.log}")
        elif self.asked and code not in {*ASKED, *(EXPECTED if self.role == "worker" else ())}:
            self.strange.append(f"{self.name} was asked to end, exit code {code}: see {self.log}")
        self.child = None
        return True

    @property
    def is_coming(self) -> bool:
        """Whether it was told to start and does not serve yet."""
        return bool(self.absent) and self.absent[-1][1] == float("inf")

    def greet(self) -> None:
        """Note when it serves again."""
        if self.is_coming and self.child is not None and self._has_begun():
            self.absent[-1] = (self.absent[-1][0], time.time())

    def _has_begun(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self.logged)
            written = log.read()
        return any(word in written for word in BEGUN)

    def _may_end(self, code: int) -> bool:
        """Whether it may end like this by itself."""
        if code == UNREACHABLE:
            return not self._has_begun()
        return self.role == "worker" and code in EXPECTED


class Crew:
    """All members; `url_of` says where each finds its server."""

    def __init__(
        self, folder: Path, url_of: Callable[[str], str], *, seed: int, rate: float, lease: float, durability: str
    ) -> None:
        self._folder, self._url_of, self._seed, self._rate, self._lease = folder, url_of, seed, rate, lease
        self._durability = durability
        self.members = {name: self._member(name) for name in EVERYBODY}
        self._retired: set[str] = set()

    def of(self, role: str) -> list[Member]:
        """Members of one role."""
        return [member for member in self.members.values() if member.role == role]

    async def start(self) -> None:
        """Start all."""
        for member in self.members.values():
            await member.start()

    async def supervise(self) -> None:
        """Start again whatever ends, for ever."""
        while True:
            for member in self.members.values():
                member.greet()
                if member.bury() and member.name not in self._retired:
                    await asyncio.sleep(AGAIN)
                    await member.start()
            await asyncio.sleep(0.05)

    async def retire(self, role: str) -> None:
        """Ask all of a role to end and see them end; they are not started again."""
        for member in self.of(role):
            self._retired.add(member.name)
            member.send(signal.SIGCONT)
            member.send(signal.SIGTERM)
        for member in self.of(role):
            child = member.child
            if child is not None and not await asyncio.to_thread(child.wait, FAREWELL):
                member.strange.append(f"{member.name} did not end within {FAREWELL:g} s of SIGTERM: see {member.log}")
                child.send(signal.SIGKILL)
                await asyncio.to_thread(child.wait, FAREWELL)
            member.bury()

    def kill(self) -> None:
        """End all that is left at once."""
        for member in self.members.values():
            self._retired.add(member.name)
            member.send(signal.SIGKILL)

    def _member(self, name: str) -> Member:
        environment = {
            "SLUICE_REDIS_URL": self._url_of(name),
            "SLUICE_LOG_FORMAT": "json",
            "SLUICE_DURABILITY": self._durability,
            "SOAK_WITNESS": str(self._folder / "witness.txt"),
        }
        return Member(name, lambda incarnation: self._words(name, incarnation), environment, self._folder)

    def _words(self, name: str, incarnation: int) -> list[str]:
        role, _, number = name.partition("-")
        if role == "publisher":
            given = {
                "url": self._url_of(name), "seed": self._seed, "number": int(number), "incarnation": incarnation,
                "rate": self._rate, "durability": self._durability, "journal": str(self._folder / f"{name}.journal"),
            }  # fmt: skip
            return [sys.executable, "-m", "soaking.publisher", json.dumps(given)]
        sluice = [sys.executable, "-P", "-c", "from dispatcher.cli import main; main()", role, "start"]
        if role != "worker":
            return sluice
        sluice += ["--name", name, "--lease", f"{self._lease:g}s", "--grace", "1s", "--cancel-grace", "1s"]
        if number == "2":
            return [*sluice, "--pool", PROCESSES, "--type", "process", "--limit", str(PROCESS_WORKER_LIMIT)]
        return [*sluice, "--pool", POOL, "--app", "soaking.functions:functions", "--limit", str(WORKER_LIMIT)]
