"""Transitions of the reference model, and the judgement of what the engine says it admitted (I1, I2, I5)."""

from collections.abc import Iterable
from itertools import count
from typing import Any

from .state import HELD, Queue, Run, State, Worker, must

Line = tuple[str, str, str]
Told = list[Line]


class Transitions(State):
    """What calls share. `happens` notes a line that the event stream must tell next, in this order."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[Line] = []
        self.orders = count(1)
        self.leftover: int | None = 0  # the last settle's `more`; None when its caller was not told
        self.sweeping = False  # a bulk edit was open before or after the call: I2 and I5 wait
        self.entries: dict[str, int] = {}  # ms of the stream entry of each run, as last read from Redis
        self.admissions = 0

    def happens(self, kind: str, head: str, word: str) -> None:
        self.expected.append((kind, head, word))

    def tell(self, told: Told, *, last: bool = False) -> None:
        """Compare what had to happen with what was told; the rest stays in `told`."""
        head = told[: len(self.expected)]
        must(head == self.expected, f"events {head}, not {self.expected}")
        del told[: len(self.expected)]
        self.expected.clear()
        must(not (last and told), f"events tell of {told} too")

    def nothing(self, expected: Any, reply: Any, told: Told) -> None:
        """A call that was turned away: this reply, and nothing happened."""
        must(reply[: len(expected)] == expected, f"answered {reply}, not {expected}")
        self.tell(told, last=True)

    # -- transitions of one run ------------------------------------------------------------------------------------

    def ensure_queue(self, name: str, priority: int | None = None) -> Queue:
        if name not in self.queues:
            used = {queue.priority for queue in self.queues.values()}
            free = next(number for number in count(1) if number not in used)
            self.queues[name] = Queue(name, priority or free)
            self.happens("queue", "created", name)
        return self.queues[name]

    def arrive(self, run: Run, cache: str) -> str:
        """A run comes to its backlog for the first time: '' when it enters, else the state in which it ends."""
        if cache in self.cache:
            return "completed"
        for key in run.bucket.keys:
            policy, here = self.policy(key), len(self.present.get(key, {}))
            if policy in {"skip", "wait_one"} and here >= (self.key_limit(key) or 0) + (policy == "wait_one"):
                return "cancelled"
        for key in run.bucket.keys:
            present = self.present.setdefault(key, {})
            if self.policy(key) == "replace":
                self.replace_oldest(present, self.key_limit(key) or 0)
            if self.policy(key) != "wait":
                present[run.id] = next(self.orders)
        return ""

    def replace_oldest(self, present: dict[str, int], limit: int) -> None:
        oldest = sorted(present, key=lambda run_id: (present[run_id], run_id))
        for run_id in oldest[: max(0, len(present) - limit + 1)]:
            present.pop(run_id, None)
            self.cancel_one(self.runs[run_id], "replaced")

    def enter(self, run: Run) -> None:
        run.state, run.due, run.order = "queued", 0, next(self.orders)

    def may_be_early(self, run: Run, cache: str) -> bool:
        return bool(self.ahead()) and not cache and all(self.policy(key) == "wait" for key in run.bucket.keys)

    def prefetch(self, run: Run, now: int) -> None:
        """It may be prepared from now on, when somebody does so."""
        run.prepare_at = 0
        wanted = run.state == "scheduled" and run.due > now and not run.attempt and self.ahead()
        if wanted and not self.queues[run.bucket.queue].deleting and self.may_be_early(run, ""):
            run.early_until, run.bucket = run.due, run.bucket.early(early=True)
            self.enter(run)
            self.happens("promoted", "early", run.id)

    def become_due(self, run: Run) -> bool:
        """The time of a run that was early; whether it waits among those that are due now."""
        run.early_until, was_early = 0, run.bucket.is_early
        run.bucket = run.bucket.early(early=False)
        if not was_early or run.state != "queued":
            return False
        self.enter(run)
        self.happens("promoted", "queued", run.id)
        return True

    def schedule(self, run: Run, at: int) -> None:
        run.state, run.due = "scheduled", at
        self.happens("scheduled", str(at), run.id)

    def release(self, run: Run) -> None:
        worker = self.workers.get(run.worker)
        if worker:
            worker.orders.pop(run.id, None)
        run.number, run.suspended, run.resuming, run.verdict = 0, False, 0, None
        run.site = ""

    def end(self, run: Run, state: str, reason: str) -> None:
        if run.state in HELD:
            self.release(run)
        run.state, run.due, run.deadline, run.number = state, 0, 0, 0
        run.prepare_at = run.early_until = 0
        if state == "crashed" or reason == "retries_spent":
            self.dead.add(run.id)
            self.count(run, "dead")
        self.count(run, state)
        for key in run.bucket.keys:
            self.present.get(key, {}).pop(run.id, None)
        cache = self.caching.pop(run.id, None)
        if cache and state == "completed":
            self.cache[cache] = run.id
        self.happens("finished", state, run.id)

    def come_back(self, run: Run, why: str) -> None:
        self.release(run)
        run.state, run.worker = "queued", ""
        self.happens("requeued", why, run.id)

    def try_again(self, run: Run, delay: int, now: int) -> None:
        self.count(run, "retried")
        self.release(run)
        run.attempt, run.worker = run.attempt + 1, ""
        if delay > 0:
            self.schedule(run, now + delay)
        else:
            self.enter(run)
            self.happens("retried", "now", run.id)

    def end_cancelling(self, run: Run, reason: str, now: int) -> None:
        outcome, argument = run.verdict or ("cancelled", reason)
        if outcome == "retry":
            self.try_again(run, int(argument), now)
        elif outcome == "return":
            self.come_back(run, "handed_back")
        else:
            self.end(run, outcome, argument)

    def take_back(self, run: Run, now: int) -> None:
        """Its worker is lost: a new token fences it, one crash is charged, the budget may be spent."""
        self.count(run, "reclaimed")
        if run.state == "cancelling":
            self.end_cancelling(run, "worker_lost", now)
            return
        run.crashes += 1
        if run.crashes >= self.crash_budget:
            self.end(run, "crashed", "worker_lost")
        else:
            run.token += 1
            self.come_back(run, "worker_lost")

    def cancel_one(self, run: Run, reason: str) -> str:
        if run.state in HELD:
            if run.state != "cancelling":
                run.state = "cancelling"
                self.happens("cancelling", run.worker or "-", run.id)
            if run.worker:
                self.workers[run.worker].orders[run.id] = run.token
            return "cancelling"
        if run.state in {"scheduled", "queued"}:
            self.end(run, "cancelled", reason)
            return "cancelled"
        return "already"

    def take_back_unconfirmed(self, now: int) -> int:
        """Runs that were pushed to workers of which nothing was heard since; how many."""
        silent = [worker for worker in self.workers.values() if worker.pushed and worker.confirm_by <= now]
        taken = 0
        for worker in sorted(silent, key=lambda worker: (worker.confirm_by, worker.name))[:16]:
            for run in self.held_by(worker.name):
                if run.number >= worker.pushed:
                    self.take_back(run, now)
                    taken += 1
            worker.pushed = 0
        return taken

    # -- orphans ---------------------------------------------------------------------------------------------------

    def lives_on(self, worker: Worker, run: Run) -> bool:
        """Whether it goes on without its worker, for another one of its site to adopt."""
        return bool(worker.site and run.infrastructure and run.state != "pending" and not run.suspended)

    def orphan(self, worker: Worker, run: Run, now: int) -> None:
        worker.orders.pop(run.id, None)
        run.worker, run.number, run.site = "", 0, worker.site
        run.orphan_since, run.orphan_until = now, now + 4 * worker.lease
        self.happens("orphaned", worker.name, run.id)

    def adopt_some(self, worker: Worker) -> None:
        for run in self.orphans():
            if run.site == worker.site and self.has_capacity(worker):
                worker.number += 1
                run.worker, run.number, run.site = worker.name, worker.number, ""
                if run.state == "cancelling":
                    worker.orders[run.id] = run.token
                worker.listed = worker.listed and self.has_capacity(worker)
                self.happens("adopted", worker.name, run.id)

    def give_up_orphans(self, now: int) -> int:
        """Those whose time is over and whose site has no worker; how many. Where there is one, they wait for room."""
        late = sorted(
            (run for run in self.orphans() if run.orphan_until <= now), key=lambda run: (run.orphan_until, run.id)
        )
        given_up = 0
        for run in late[:16]:
            if any(worker.site == run.site for worker in self.workers.values()):
                run.orphan_until = now + self.longest_lease
            else:
                self.take_back(run, now)
                given_up += 1
        return given_up

    # -- workers ---------------------------------------------------------------------------------------------------

    def lose(self, worker: Worker) -> None:
        worker.state, worker.listed = "lost", False
        self.happens("worker", "lost", worker.name)

    def forget(self, worker: Worker) -> None:
        del self.workers[worker.name]
        self.happens("worker", "gone", worker.name)

    def open_orders(self, worker: Worker) -> tuple[str, dict[str, int]]:
        return "drain" if worker.state == "draining" else "", worker.orders

    @staticmethod
    def orders_in(words: list[str]) -> tuple[str, dict[str, int]]:
        return words[0], {words[i]: int(words[i + 1]) for i in range(1, len(words), 2)}

    def due_members(self) -> dict[str, int]:
        """`r` and an id becomes due then, `x` and an id has to start before."""
        members = {f"r{run.id}": run.due for run in self.runs.values() if run.state == "scheduled"}
        members |= {f"x{run.id}": run.deadline for run in self.runs.values() if run.deadline}
        members |= {f"p{run.id}": run.prepare_at for run in self.runs.values() if run.prepare_at}
        members |= {f"a{run.id}": run.early_until for run in self.runs.values() if run.early_until}
        return members

    # -- admission -------------------------------------------------------------------------------------------------

    def settle(
        self, now: int, told: Told, *, more: int | None, caller: Worker | None = None, closing: Iterable[Line] = ()
    ) -> None:
        """Judge and apply each admission the engine tells of, in its order; before them, who gets slots back."""
        self.resume_some()
        self.tell(told)
        pushed: list[Worker] = []
        closing = list(closing)
        while told and told != closing:
            kind, head, word = told.pop(0)
            if (kind, head) == ("finished", "expired"):
                self.expire_reached(self.runs[word], now)
                continue
            must(kind == "admitted", f"settle tells of {kind} {head} {word}")
            worker = self.workers[head]
            self.judge(worker, self.runs[word], now, caller)
            self.give(worker, self.runs[word], now)
            if worker is not caller:
                pushed.append(worker)
                if not worker.pushed:
                    worker.pushed, worker.confirm_by = worker.number, now + 750
            elif not self.has_capacity(worker):
                worker.listed = False
        must(told == closing, f"events end with {told}, not {closing}")
        for worker in pushed:
            worker.listed = False
        self.leftover = more

    def resume_some(self) -> None:
        """Suspended runs come before queued ones, in the order in which they asked; one without room holds up none."""
        for run in sorted((run for run in self.held() if run.resuming), key=lambda run: run.resuming):
            worker = self.workers[run.worker]
            if worker.live and self.has_capacity(worker) and not self.full_scope(run.bucket, pauses=False):
                run.suspended, run.resuming = False, 0
                worker.listed = worker.listed and self.has_capacity(worker)
                self.happens("resumed", worker.name, run.id)

    def is_head(self, run: Run, now: int) -> bool:
        """First of its bucket, but for expired ones and those that were written in the very same millisecond."""
        before = [other for other in self.backlog()[run.bucket] if other.order < run.order]
        entry = self.entries.get(run.id, 0)
        return self.next_of([other for other in before if self.entries.get(other.id) != entry], now) is None

    def expire_reached(self, run: Run, now: int) -> None:
        must(run.state == "queued" and 0 < run.deadline <= now, f"{run} expired at {now}")
        self.end(run, "expired", "deadline")
        self.expected.clear()

    def judge(self, worker: Worker, run: Run, now: int, caller: Worker | None) -> None:
        must(run.state == "queued", f"{run} admitted, but it does not wait")
        must(not run.deadline or run.deadline > now, f"{run} admitted past its deadline, at {now}")
        must(self.is_head(run, now), f"{run} admitted before its elders {self.backlog()[run.bucket]}")
        full = self.full_scope(run.bucket)
        must(not full, f"I1: {run} admitted while full: {full}")
        must(worker.takes(run.bucket), f"{run} given to {worker}, which does not take it")
        must(worker in self.available(now, caller), f"{run} given to {worker}, not idle or not believed at {now}")
        if not self.sweeping:
            missed = self.missed(now, caller, self.rank(run.bucket))
            must(not missed, f"I5: {run} given to {worker} while {missed}")

    def give(self, worker: Worker, run: Run, now: int) -> None:
        worker.number += 1
        run.state = "running" if worker.auto else "pending"
        run.attempt = run.attempt or 1
        run.token = max(now, run.token + 1)
        run.worker, run.number, run.deadline = worker.name, worker.number, 0
        run.infrastructure = ""
        self.admissions += 1
        self.count(run, "admitted")

    def check_work_conserving(self, now: int) -> None:
        """I2, unless somebody was told to call again or a sweep is open."""
        if self.leftover == 0 and not self.sweeping:
            missed = self.missed(now, None, float("inf"))
            must(not missed, f"I2: at {now} {missed}")
