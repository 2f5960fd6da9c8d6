"""The reference model as a server's engine: it does not judge what was admitted, it chooses, and is judged as ever.

Chance chooses among all that the specification allows: which of the best buckets is served, and whose the run is.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from tests.model.reference import End, Model
from tests.model.settling import Line, Told
from tests.model.state import HELD, WAITING, Bucket, Run, Worker

from .blanks import Blank, Cell
from .mailbox import Mailbox


class Choices(list[Line]):
    """What the event stream would tell, made up as it is asked for. A tick asks which lost worker's runs it takes."""

    def __init__(self, model: "Specified") -> None:
        super().__init__()
        self._model = model
        self._next: Line | None = None

    def __iter__(self) -> Any:
        lost = sorted(worker.name for worker in self._model.workers.values() if worker.state == "lost")
        return iter([("worker", "gone", self._model.random.choice(lost))] if lost else [])

    def __bool__(self) -> bool:
        self._next = self._model.choose()
        return self._next is not None

    def __ne__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return id(self)

    def pop(self, index: Any = 0) -> Line:
        assert self._next is not None
        return self._next


class Runs(dict[str, Run]):
    """All runs, and those that are not over beside them: a long history stays quick."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, Run] = {}

    def __setitem__(self, run_id: str, run: Run) -> None:
        super().__setitem__(run_id, run)
        self.open[run_id] = run


class Specified(Model):
    """The model of one pool, with what the scripts keep beside it: facts of ends, letters, who is told of what."""

    runs: Runs

    def __init__(self, random: Random, mail: Mailbox) -> None:
        super().__init__()
        self.random, self.mail = random, mail
        self.runs = Runs()
        self.now = 0
        self.told: list[Line] = []
        self.listeners: dict[str, list[str]] = {}
        self.facts: dict[str, list[Any]] = {}
        self.times: dict[str, dict[str, int]] = {}
        self.stopping: set[str] = set()
        self.on_end: Callable[[str], None] = lambda _: None
        self.on_loss: Callable[[str], None] = lambda _: None
        self.on_withdrawal: Callable[[str, int], None] = lambda _run, _token: None
        self._result = self._cached = b""
        self.verdicts: dict[str, Any] = {}  # results of runs that cannot be ended, for when their worker goes
        self._caller: Worker | None = None
        self._pushes: dict[str, list[Any]] = {}

    # What happened is told, not expected -----------------------------------------------------------------------------

    def happens(self, kind: str, head: str, word: str) -> None:
        self.told.append((kind, head, word))
        if kind == "resumed":
            self.mail.letter(head, ["resume", f"{word}:{self.runs[word].token}"])

    def tell(self, told: Told, *, last: bool = False) -> None:
        """Nothing is compared here."""

    @staticmethod
    def orders_in(words: Any) -> Any:
        return _Orders(words)

    def open_orders(self, worker: Worker) -> tuple[str, dict[str, int]]:
        how, orders = super().open_orders(worker)
        return ("stop" if how and worker.name in self.stopping else how), orders

    # What is kept beside the model -----------------------------------------------------------------------------------

    def finish(self, worker: Worker, end: End, now: int) -> str | None:
        self._result = end[4]  # type: ignore[assignment]
        why = super().finish(worker, end, now)
        self._result = b""
        return why

    def end_cancelling(self, run: Run, reason: str, now: int) -> None:
        told, self._result = self._result, self.verdicts.pop(run.id, b"")
        super().end_cancelling(run, reason, now)
        self._result = told

    def come(self, run: Run, cache: str, kind: str) -> None:
        source = self.cache.get(cache)
        self._cached = self.facts[source][-1] if source else b""
        super().come(run, cache, kind)

    def adopt_some(self, worker: Worker) -> None:
        before = self.orphans()
        super().adopt_some(worker)
        for run in before:
            if run.worker and run.state == "cancelling":
                self.mail.letter(run.worker, ["cancel", f"{run.id}:{run.token}"])

    def end(self, run: Run, state: str, reason: str) -> None:
        assert run.state in HELD | WAITING, f"{run} ends a second time, as {state}"
        times = self.times.pop(run.id, {})
        admitted = times.get("admitted", 0)
        row = [run.attempt, run.crashes, run.token, run.worker, run.infrastructure]
        if not admitted:
            row = [0, 0, 0, "", ""]
        same = 0 if admitted == run.token else admitted
        self.facts[run.id] = [state, reason, *row, same, times.get("started", 0), self.now]
        self.facts[run.id].append(self._cached if reason == "cached" else self._result)
        super().end(run, state, reason)
        self.runs.open.pop(run.id, None)
        self.on_end(run.id)
        for client in self.listeners.pop(run.id, ()):
            self.mail.told_end(client, run.id, self.facts[run.id])

    def schedule(self, run: Run, at: int) -> None:
        super().schedule(run, at)
        self.ring(at)

    def ring(self, at: int) -> None:
        """The bell, where this is the first of what is due."""
        if at <= min(self.due_members().values(), default=at):
            self.mail.ring(at)

    def cancel_one(self, run: Run, reason: str) -> str:
        status = super().cancel_one(run, reason)
        if status == "cancelling" and run.worker:
            self.mail.letter(run.worker, ["cancel", f"{run.id}:{run.token}"])
        return status

    def tick(self, now: int, reply: Any, told: Told) -> None:
        live = {worker.name for worker in self.workers.values() if worker.live}
        super().tick(now, reply, told)
        for name in sorted(live):
            if name not in self.workers or not self.workers[name].live:
                self.on_loss(name)

    def take_back_unconfirmed(self, now: int) -> int:
        before = {run.id: run.token for run in self.held()}
        taken = super().take_back_unconfirmed(now)
        for run_id, token in before.items():
            if self.runs[run_id].state not in HELD:
                self.on_withdrawal(run_id, token)
        return taken

    def forget(self, worker: Worker) -> None:
        super().forget(worker)
        self.stopping.discard(worker.name)
        self.mail.forget(worker.name)

    def give(self, worker: Worker, run: Run, now: int) -> None:
        super().give(worker, run, now)
        self.times.setdefault(run.id, {}).update(admitted=now, started=0)
        if worker is not self._caller:
            words = f"{run.number}:{run.token}:{run.attempt}:{run.crashes}:{run.id}"
            self._pushes.setdefault(worker.name, []).extend((words, run.spec))

    # Whom it admits --------------------------------------------------------------------------------------------------

    def settle(
        self, now: int, told: Told, *, more: Any, caller: Worker | None = None, closing: Iterable[Line] = ()
    ) -> None:
        if isinstance(more, Cell):
            more.blank.put(more.index, 0)
            more = 0
        self._caller, self._pushes = caller, {}
        super().settle(now, told, more=more, caller=caller, closing=closing)
        for name, words in self._pushes.items():
            self.mail.letter(name, words)
        self._caller = None

    def choose(self) -> Line | None:
        """The next admission, or the end of a run that is reached too late; None when nothing can be admitted."""
        available = self.available(self.now, self._caller)
        if not available:
            return None
        found: list[tuple[Bucket, list[Run]]] = []
        best = float("inf")
        for bucket, runs in self.backlog().items():
            rank = self.rank(bucket)
            if rank > best or self.full_scope(bucket) or not any(worker.takes(bucket) for worker in available):
                continue
            found = [*found, (bucket, runs)] if rank == best else [(bucket, runs)]
            best = rank
        if not found:
            return None
        bucket, runs = self.random.choice(found) if len(found) > 1 else found[0]
        run = runs[0]
        if 0 < run.deadline <= self.now:
            return "finished", "expired", run.id
        takers = [worker for worker in available if worker.takes(bucket)]
        worker = self._caller if self._caller in takers else self.random.choice(takers)
        assert worker is not None
        return "admitted", worker.name, run.id

    def held(self) -> Any:
        return (run for run in self.runs.open.values() if run.state in HELD)

    def backlog(self) -> dict[Bucket, list[Run]]:
        whole, self.runs = self.runs, self.runs.open  # type: ignore[assignment]
        try:
            return super().backlog()
        finally:
            self.runs = whole

    def due_members(self) -> dict[str, int]:
        whole, self.runs = self.runs, self.runs.open  # type: ignore[assignment]
        try:
            return super().due_members()
        finally:
            self.runs = whole

    def choices(self, now: int) -> Choices:
        """What a call at that time is told."""
        self.now = now
        self.told.clear()
        return Choices(self)


class _Orders:
    """Orders that are to be said: of a model, as a script answers them."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, words: Any) -> None:
        self._words = words

    def __eq__(self, other: object) -> bool:
        how, orders = other  # type: ignore[misc]
        flat = [how]
        for run_id, token in orders.items():
            flat += [run_id, str(token)]
        return bool(self._words == flat)


def blank(size: int = 0) -> Any:
    """A reply for the model to fill in; Any, for the model knows lists."""
    return Blank(size)
