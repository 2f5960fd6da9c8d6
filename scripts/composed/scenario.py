"""What is done to the stack while it works: scaled, killed, restarted; all of it with runs waiting."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from notes import Note, Notes
from project import ROOT, SOCKET, DemoError, Project, wait_until

FIRST, BY_CLI, SLOW = 20, 20, 12
"""Runs of the publisher that comes up with the stack, of the command line, and those that are under way at the kill."""
RUN_SECONDS, SLOW_SECONDS = "0.3", "18"
SETTLED_NS = 700_000_000
"""After its last line a run's process ends and its worker says so: much less than this."""
POOL_LIMIT, TENANT_LIMIT, SLOTS = 12, 5, 5
"""The first two are those of compose/sluice.yaml; three workers at least are wanted to fill the pool."""
BY_REDIS_CLI = {("command", "publisher"), ("command|docs", "publisher")}


@dataclass
class Seen:
    """What was seen on the way, for the report."""

    published: int = 0
    image_seconds: float = 0
    image_bytes: int = 0
    first_seconds: float = 0
    killed: str = ""
    killed_ns: int = 0
    recovery_seconds: float = 0
    held: set[str] = field(default_factory=set)
    waiting: dict[str, int] = field(default_factory=dict)
    scraped: dict[str, int] = field(default_factory=dict)
    refused: str = ""
    container: str = ""
    notes: Notes = field(default_factory=lambda: Notes([]))


class Scenario:
    """One go through everything, in order. `say` is told each step."""

    def __init__(self, project: Project, runs: int, say: Callable[[str], None]) -> None:
        self._project, self._runs, self._say = project, runs, say
        self.seen = Seen()
        self._count = threading.Lock()

    def play(self) -> Seen:
        """Do it all. DemoError when a step is not possible."""
        self._bring_up()
        cli = threading.Thread(target=self._publish_by_cli)
        cli.start()
        steps: list[tuple[str, Callable[[], object]]] = [
            ("scaled from 1 to 4 workers", lambda: self._project.scale(4)),
            ("a dispatcher killed", self._kill_dispatcher),
            ("Redis restarted", lambda: self._project.compose("restart", "redis")),
            ("a worker killed", self._kill_worker),
            ("scaled from 4 to 1 worker", lambda: self._project.scale(1)),
        ]
        rest = self._runs - FIRST - BY_CLI - SLOW
        for number, (what, act) in enumerate(steps):
            self._publish((rest + number) // len(steps), RUN_SECONDS)
            self._say(what)
            self.seen.waiting[what] = self.seen.published - len(self._read().started)
            act()
        cli.join()
        self._run_a_container()
        self._finish()
        return self.seen

    def _read(self) -> Notes:
        return Notes(self._project.notes())

    def _bring_up(self) -> None:
        self._say("building the image")
        self.seen.image_seconds, self.seen.image_bytes = self._project.build()
        self._say("docker compose up, with a publisher of the first runs")
        began = time.time_ns()
        self._project.compose("--profile", "monitoring", "--profile", "demo", "up", "--detach")
        self.seen.published += FIRST
        self._project.start_reader()
        wait_until(lambda: len(self._read().ended) == FIRST, "the first runs end")
        self.seen.first_seconds = (self._read().first_end_ns() - began) / 1e9

    def _publish(self, count: int, seconds: str, queue: str = "default") -> None:
        """By XADD, from a container in which there is nothing of Sluice."""
        self._say(f"{count} runs by XADD")
        self._project.compose("run", "--rm", "--no-deps", "publisher", str(count), seconds, queue)
        with self._count:
            self.seen.published += count

    def _publish_by_cli(self) -> None:
        script = ROOT / "compose" / "demo" / "script.sh"
        run = subprocess.run(
            ["sh", str(script), RUN_SECONDS], capture_output=True, text=True, check=True
        ).stdout.strip()
        each = f"""sluice run publish --command "sh -ec '{run}' run 4" --key tenant:4"""
        loop = f"set -e; for n in $(seq {BY_CLI}); do {each.replace('$', chr(92) + '$')}; done"
        told = self._project.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "cli", "-c", loop)
        with self._count:
            self.seen.published += sum(len(line) == 32 for line in told.splitlines())

    def _run_a_container(self) -> None:
        """One run on the docker worker, where this machine has the socket that it wants."""
        if not SOCKET.is_socket():
            return
        self._say("a run as a container of its own")
        self._project.compose("--profile", "docker", "up", "--detach", "--no-deps", "worker-docker")
        words = ["run", "--rm", "--no-deps", "-T", "cli", "run", "publish", "--pool", "docker", "--watch"]
        words += ["--job-variable", f"image={self._project.redis_image()}", "--job-variable", "network_mode=none"]
        try:
            self._project.compose(*words, "--shell", "echo $SLUICE_RUN_ID")
            self.seen.container = "completed"
        except DemoError as error:
            self.seen.container = str(error).splitlines()[-1]

    def _kill_dispatcher(self) -> None:
        self._project.docker("kill", self._project.containers("dispatcher")[0])

    def _kill_worker(self) -> None:
        """Kill one when all that is under way is slow: no run has just ended there, and none is about to.

        A run whose worker dies after its last line and before its end was reported is executed again. That is promised
        (at least once) and would be counted as ended twice.
        """
        before = self._read().started
        self._publish(SLOW, SLOW_SECONDS, "urgent")
        found: list[Note] = []

        def only_slow_ones() -> bool:
            notes = self._read()
            found[:] = [note for run, note in notes.open().items() if run not in before]
            return len(notes.open()) == len(found) == SLOW and time.time_ns() - notes.last_ns("end") > SETTLED_NS

        wait_until(only_slow_ones, "nothing but the slow runs is under way", seconds=15, pause=0.1)
        hosts = [note.host for note in found]
        self.seen.killed = max(set(hosts), key=hosts.count)
        self._project.docker("kill", self.seen.killed)
        self.seen.killed_ns = time.time_ns()
        self.seen.held = {note.run for note in found if note.host == self.seen.killed}
        if any(note.kind == "end" and note.run in self.seen.held for note in self._read().all):
            raise DemoError("this machine is too slow: a run ended while its worker was being killed")
        self._await_recovery()

    def _await_recovery(self) -> None:
        wait_until(lambda: self.seen.held <= self._read().started_again(), "the killed worker's runs start elsewhere")
        again = [note.ns for note in self._read().all if note.kind == "start" and note.run in self.seen.held]
        self.seen.recovery_seconds = (max(again) - self.seen.killed_ns) / 1e9

    def _refused(self) -> set[str]:
        """What users of the server may not do and tried, without what redis-cli asks for its own help.

        Whoever finds a script missing, as after a restart, tries to load it, and waits for a dispatcher that may.
        """
        told = json.loads(self._project.operator("--json", "ACL", "LOG"))
        entries = [(entry["object"], entry["username"]) for entry in told]
        return {
            f"{what} to {user}" for what, user in entries if (what, user) not in BY_REDIS_CLI and what != "script|load"
        }

    def _finish(self) -> None:
        self._say("waiting for the last run")
        with suppress(DemoError):  # the report says what is missing
            wait_until(lambda: len(self._read().ended) >= self.seen.published, "all runs end")
        self.seen.notes = self._read()
        self.seen.refused = ", ".join(sorted(self._refused()))
        for found in self._project.prometheus("count by (job) (up == 1)"):
            self.seen.scraped[found["metric"]["job"]] = int(found["value"][1])
