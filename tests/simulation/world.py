"""A world of one seed: a server, a network, processes, what people ask of them, and what goes wrong."""

import hashlib
import traceback
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from dispatcher.errors import ServerError

from .fleet import LEASE, Fleet
from .ledger import Ledger
from .loop import Loop
from .network import Network
from .processes import Process
from .server import Server

PIECES = 0.5


class Broken(AssertionError):
    """Something that must not happen did."""


class World:
    """Runs the processes, restarts what ended, and remembers each call. `show` is told each line of the history."""

    def __init__(self, seed: int, show: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.random = Random(f"{seed} story")
        self.loop = Loop(Random(f"{seed} order"))
        self.server = Server(Random(f"{seed} server"), self.loop.time)
        self.network = Network(self.loop, self.server, Random(f"{seed} network"), self.note)
        self.ledger = Ledger()
        self.fleet = Fleet(self.loop, self.network, self.ledger, Random(f"{seed} fleet"))
        self.ended: dict[str, float] = {}
        self.disturbed = 0.0  # when the server came back, or its clock was set
        model = self.server.model
        model.on_end = lambda run_id: self.ended.setdefault(run_id, self.loop.time())
        model.on_loss = self._lost
        model.on_withdrawal = self._withdrawn
        self.processes: dict[str, Process] = {}
        self._makers: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {}
        self._graves: list[Process] = []
        self._show = show
        self._hash = hashlib.sha256()
        self._starts = 0
        self._is_over = False
        self.calls = 0

    # History ---------------------------------------------------------------------------------------------------------

    def note(self, who: str, what: str, answer: Any) -> None:
        """One line of the history."""
        self.calls += 1
        line = f"{self.loop.time():10.4f} {who}: {what} -> {answer!r}"
        self._hash.update(line.encode())
        if self._show:
            self._show(line)

    @property
    def history(self) -> str:
        """What tells one history from every other."""
        return self._hash.hexdigest()

    def write(self, line: str) -> None:
        """The product's log: what it calls an exception is one that nobody foresaw."""
        if '"exception"' in line and not self._is_over:
            self.loop.complaints.append(line)

    def flush(self) -> None:
        """Part of a stream."""

    def isatty(self) -> bool:
        """It is none."""
        return False

    def _withdrawn(self, run_id: str, token: int) -> None:
        self.ledger.withdrawn[run_id, str(token)] = self.loop.time()

    def _lost(self, worker: str) -> None:
        """Who was not watched for a lease is not taken for dead."""
        if self.loop.time() - self.disturbed < LEASE:
            raise Broken(
                f"{worker} taken for dead {self.loop.time() - self.disturbed:.3f} s after the server came back"
            )

    # Processes -------------------------------------------------------------------------------------------------------

    def run(self, name: str, maker: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Start a process; it is started again whenever it ends."""
        self._makers[name] = maker
        self.start(name)

    def start(self, name: str) -> None:
        """Start one that is not there."""
        if name in self.processes or name not in self._makers:
            return
        self._starts += 1
        process = self.processes[name] = Process(f"{name}.{self._starts}")
        task = self.loop.spawn(process, self._makers[name]())
        task.add_done_callback(lambda _: self._ended(name, process, task), context=self.loop.world.context.copy())

    def _ended(self, name: str, process: Process, task: Any) -> None:
        if process.is_dead:
            return
        error = None if task.cancelled() else task.exception()
        self.note(process.name, "ended", repr(error))
        if error and not isinstance(error, ServerError):
            self.loop.complaints.append(f"{process.name} ended: {''.join(traceback.format_exception(error))}")
        self.remove(name)
        self.later(self.random.random(), self.start, name)

    def names(self) -> set[str]:
        """Of all processes that there should be."""
        return set(self._makers)

    def keep_out(self, name: str) -> None:
        """It is not started again."""
        del self._makers[name]

    def later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> None:
        """Do something of the world's own then."""
        self.loop.call_later(seconds, callback, *args, context=self.loop.world.context.copy())

    def remove(self, name: str) -> None:
        """It is dead, at this very moment."""
        process = self.processes.pop(name, None)
        if process:
            self.note(process.name, "dies", "")
            self.ledger.died(process, self.loop.time())
            process.kill()
            self._graves.append(process)

    def freeze(self, name: str, seconds: float, *, loop_only: bool) -> None:
        """Stop it for a while, or only its loop: its heart beats on."""
        process = self.processes.get(name)
        if process is None:
            return
        self.note(process.name, "busy" if loop_only else "frozen", seconds)
        process.rested.append((self.loop.time(), self.loop.time() + seconds))
        if loop_only:
            process.is_busy = True
        else:
            process.freeze(True)
        self.later(seconds, self.thaw, process)

    def thaw(self, process: Process) -> None:
        """It goes on."""
        process.is_busy = False
        process.freeze(False)
        self.loop.wake(process)

    # Time ------------------------------------------------------------------------------------------------------------

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until(lambda: self.loop.complaints, self.loop.time() + seconds)
        self.check()

    def until(self, is_so: Callable[[], object], seconds: float, what: str) -> None:
        """Let time pass until something is so; Broken when it takes longer than that."""
        end = self.loop.time() + seconds
        while not is_so():
            if self.loop.time() >= end:
                raise Broken(f"not within {seconds:g} s: {what}; {self._left()}")
            self.go_on(PIECES)

    def _left(self) -> str:
        model = self.server.model
        runs = [f"{run.id} {run.state} {run.worker} {run.bucket.name}" for run in model.runs.open.values()]
        return f"{len(runs)} runs: {runs[:5]}; workers {sorted(model.workers)}"

    def check(self) -> None:
        """Nothing was said that nobody heard."""
        if self.loop.complaints:
            raise Broken(f"the loop complains: {self.loop.complaints}")

    def end(self) -> None:
        """Take it all apart."""
        self._is_over = True
        for name in list(self.processes):
            self.remove(name)
        for process in (*self._graves, self.loop.world):
            process.bury()
