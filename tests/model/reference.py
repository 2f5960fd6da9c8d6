"""The reference model: the specification of the engine, as plain state and what each call does to it.

What a call does to runs, workers and settings is computed here. Whom the engine admitted is told by the event of that
call: the model checks that each admission was legal at its moment and then applies it. It copies no algorithm.
"""

from collections.abc import Sequence
from typing import Any

from .settling import Told, Transitions
from .state import DEFAULT_LEASE, Bucket, Queue, Run, Worker, must

ENDS = {"completed", "failed", "cancelled", "crashed"}
End = tuple[str, int, str, str, str]  # id, token, outcome, argument, result


class Model(Transitions):
    """One method a script; each takes what was sent, what was answered, what the event stream told."""

    # -- what people set -------------------------------------------------------------------------------------------

    def set_pool(self, now: int, fields: dict[str, str], reply: Any, told: Told) -> None:
        for name, value in fields.items():
            if name == "limit":
                self.limit = int(value) if value else None
            elif name == "paused":
                self.paused = value == "1"
            elif name == "crashes":
                self.crash_budget = int(value)
            self.happens("pool", name, value or "-")
        must(reply[0] == "ok", f"pool answered {reply}")
        self.settle(now, told, more=reply[1])

    def set_queue(self, now: int, mode: str, name: str, fields: dict[str, str], reply: Any, told: Told) -> None:
        if mode == "create" and name in self.queues:
            return self.nothing(["exists"], reply, told)
        if mode == "update" and name not in self.queues:
            return self.nothing(["no_queue"], reply, told)
        queue = self.ensure_queue(name, int(fields["priority"]) if "priority" in fields else None)
        for field, value in fields.items():
            if field == "limit":
                queue.limit = int(value) if value else None
            elif field == "paused":
                queue.paused = value == "1"
            elif field == "priority":
                queue.priority = int(value)
            self.happens("queue", name, field)
            self.happens("queue", name, value or "-")
        must(reply[0] == "ok", f"queue answered {reply}")
        return self.settle(now, told, more=reply[1])

    def set_limit(self, now: int, key: str, value: str, when_full: str, reply: Any, told: Told) -> None:
        said = self.policies.pop(key, "")
        if value:
            self.limits[key] = int(value)
        else:
            self.limits.pop(key, None)
        if value and when_full != "wait":
            self.policies[key] = when_full
            if not said and not key.endswith(":*"):
                holders = {run.id: 0 for run in self.executing() if key in run.bucket.keys}
                self.present[key] = holders | self.present.get(key, {})
        words = f"{value},{when_full}" if value and when_full != "wait" else value
        self.happens("limit", key, words or "-")
        must(reply[0] == "ok", f"limit answered {reply}")
        self.settle(now, told, more=reply[1])

    def delete_queue(self, now: int, name: str, cancel: int, reply: Any, told: Told) -> None:
        if name == "default" or name not in self.queues:
            return self.nothing(["default" if name == "default" else "no_queue"], reply, told)
        queue = self.queues[name]
        if cancel:
            queue.deleting = True
            # Which 64 of them go in this call is the engine's choice; what it says must be true.
            while told and told[0][:2] in {("finished", "cancelled"), ("cancelling", told[0][1])}:
                kind, _, run_id = told[0]
                run = self.runs[run_id]
                must(run.bucket.queue == name, f"{run} cancelled with queue {name}")
                self.cancel_one(run, "queue_deleted")
                self.tell(told)
                must(run.state == ("cancelling" if kind == "cancelling" else "cancelled"), f"{run} was told {kind}")
            for run in self.held():  # those that were asked before are asked again
                if run.bucket.queue == name and run.state == "cancelling":
                    self.cancel_one(run, "queue_deleted")
        self.settle(now, told, more=None, closing=[("queue", "deleted", name)] if reply[0] == "deleted" else [])
        runs = [run for run in self.runs.values() if run.bucket.queue == name]
        counts = [sum(run.state == state for run in runs) for state in ("queued", "scheduled")]
        counts.append(sum(run.bucket.queue == name for run in self.held()))
        status = "deleted" if not sum(counts) else "more" if cancel and counts[0] + counts[1] else "holds"
        must(reply[:4] == [status, *counts], f"delete_queue answered {reply}, not {[status, *counts]}")
        if cancel and counts[2] and not counts[0] + counts[1]:
            states = {run.state for run in self.held() if run.bucket.queue == name}
            must(states == {"cancelling"}, f"{name} is going, its runs are {states}")
        if status == "deleted":
            del self.queues[name]
            self.counts.pop(name, None)
        return None

    # -- runs ------------------------------------------------------------------------------------------------------

    def publish(self, now: int, batch: Sequence[tuple[Run, str, str]], reply: Any, told: Told) -> None:
        """Runs with `due` and `deadline` as asked, each with an idempotency key and a cache key, or ''."""
        for run, _, _ in batch:
            if self.queues.get(run.bucket.queue, Queue("", 0)).deleting:
                return self.nothing(["deleting", run.bucket.queue], reply, told)
        statuses: list[Any] = []
        for index, (run, key, cache) in enumerate(batch):
            if run.id in self.runs:
                statuses += [index, "exists"]
                continue
            if key in self.idempotency:
                statuses += [index, f"same {self.idempotency[key]}"]
                continue
            self.ensure_queue(run.bucket.queue)
            self.runs[run.id] = run
            self.count(run, "published")
            if key:
                self.idempotency[key] = run.id
            if cache:
                self.caching[run.id] = cache
            if run.due > now:
                self.schedule(run, run.due)
                if self.may_be_early(run, cache):
                    run.prepare_at = max(now, run.due - self.ahead())
            else:
                run.due = 0
                self.come(run, cache, "published")
        must(reply[:2] == ["ok", now] and reply[3:] == statuses, f"publish answered {reply}, not {statuses}")
        return self.settle(now, told, more=reply[2])

    def come(self, run: Run, cache: str, kind: str) -> None:
        state = self.arrive(run, cache)
        if not state:
            self.enter(run)
            self.happens(kind, "queued", run.id)
            return
        self.caching.pop(run.id, None)
        if kind == "published":
            self.happens(kind, state, run.id)
        self.end(run, state, "cached" if state == "completed" else "skipped")

    def cancel(self, now: int, ids: Sequence[str], reply: Any, told: Told) -> None:
        expected = []
        for run_id in ids:
            run = self.runs.get(run_id)
            expected.append(self.cancel_one(run, "asked") if run else "missing")
        must(reply[1:] == expected, f"cancel answered {reply[1:]}, not {expected}")
        self.settle(now, told, more=reply[0])

    def promote(self, now: int, most: int, reply: Any, told: Told) -> None:
        due = sorted((at, member) for member, at in self.due_members().items() if at <= now)[:most]
        promoted = expired = 0
        for _, member in due:
            run = self.runs[member[1:]]
            if member[0] == "p":
                self.prefetch(run, now)
            elif member[0] == "a":
                promoted += self.become_due(run)
            elif run.state not in {"scheduled", "queued"} or (member[0] == "r" and run.state == "queued"):
                continue
            elif member[0] == "x":
                self.end(run, "expired", "deadline")
                expired += 1
            elif self.queues[run.bucket.queue].deleting:
                self.end(run, "cancelled", "queue_deleted")
            elif run.attempt:
                self.enter(run)
                self.happens("promoted", "queued", run.id)
                promoted += 1
            else:
                self.come(run, self.caching.get(run.id, ""), "promoted")
                promoted += run.state == "queued"
        must(reply[:3] == [promoted, expired, now], f"promote answered {reply}, not {[promoted, expired, now]}")
        must(reply[5] == (now - due[0][0] if due else 0), f"promote says it was {reply[5]} late")
        must(reply[4] or len(due) < most, "promote leaves due runs and does not say so")
        self.settle(now, told, more=reply[4])
        must(reply[3] == min(self.due_members().values(), default=0), f"promote says {reply[3]} is next")

    # -- workers ---------------------------------------------------------------------------------------------------

    def join(self, now: int, worker: Worker, queues: Sequence[str], reply: Any, told: Told) -> None:
        known = self.workers.get(worker.name)
        must(reply == ["gone" if known and not known.live else "ok", now], f"join answered {reply}")
        if known:
            return self.tell(told, last=True)
        for name in queues:
            self.ensure_queue(name)
        self.workers[worker.name] = worker
        worker.lease_end = now + worker.lease
        self.longest_seen = max(self.longest_seen, worker.lease)
        self.longest_lease = self.longest_seen or DEFAULT_LEASE
        self.happens("worker", "joined", worker.name)
        return self.tell(told, last=True)

    def turn(self, now: int, name: str, seen: int, offer: int, ends: Sequence[End], reply: Any, told: Told) -> None:
        worker = self.workers.get(name)
        if not worker or not worker.live:
            return self.nothing(["gone"], reply, told)
        worker.lease_end, worker.pushed = now + worker.lease, 0
        refusals: list[str] = []
        for end in ends:
            why = self.finish(worker, end, now)
            if why:
                refusals += [end[0], why]
        caller = worker if offer and worker.state == "online" else None
        if caller:
            self.adopt_some(worker)
        if not caller:
            worker.listed = False
        elif self.has_capacity(worker):
            worker.listed = True
        self.settle(now, told, more=reply[2], caller=caller)
        runs: list[str] = []
        for run in self.held_by(name):
            if run.number > seen:
                lives = f" {run.infrastructure}" if run.infrastructure else ""
                runs += [f"{run.number}:{run.token}:{run.attempt}:{run.crashes}:{run.id}{lives}", run.spec]
        must(reply[:2] == ["ok", now] and reply[3] == worker.number, f"turn answered {reply[:4]}, not {worker.number}")
        must(reply[4] == refusals, f"turn refused {reply[4]}, not {refusals}")
        must(self.orders_in(reply[5]) == self.open_orders(worker), f"turn orders {reply[5]}")
        return must(reply[6] == runs, f"turn hands over {reply[6]}, not {runs}")

    def finish(self, worker: Worker, end: End, now: int) -> str | None:
        run_id, token, outcome, argument, _ = end
        run = self.runs.get(run_id)
        if not run:
            return "stale"
        if run not in self.held_by(worker.name) or run.token != token:
            done = run.state not in {"pending", "running", "cancelling"} and run.worker in {"", worker.name}
            return "already" if done and run.token == token else "stale"
        if outcome == "lost":
            self.take_back(run, now)
            return None
        if outcome in ENDS:
            self.end(run, outcome, argument)
        elif run.state == "cancelling":
            self.end_cancelling(run, "asked", now)
        elif outcome == "retry":
            self.try_again(run, int(argument), now)
        else:
            self.come_back(run, "handed_back")
        return None

    def start(self, now: int, name: str, claims: Sequence[tuple[str, int]], reply: Any, told: Told) -> None:
        worker = self.workers.get(name)
        if not worker or not worker.live:
            return self.nothing(["gone"], reply, told)
        worker.lease_end, worker.pushed = now + worker.lease, 0
        statuses = []
        for run_id, token in claims:
            run = self.runs.get(run_id)
            if not run or run not in self.held_by(name) or run.token != token:
                statuses.append("stale")
                continue
            statuses.append({"pending": "started", "running": "already"}.get(run.state, run.state))
            if run.state == "pending":
                run.state, run.infrastructure = "running", "pod"
                self.happens("started", name, run_id)
        must(reply == ["ok", *statuses], f"start answered {reply}, not {statuses}")
        return self.tell(told, last=True)

    def claim_of(self, now: int, name: str, run_id: str, token: int, reply: Any, told: Told) -> Run | None:
        """The run of that claim, its worker's lease renewed; None when the call had to be turned away, and was."""
        worker = self.workers.get(name)
        run = self.runs.get(run_id)
        if worker and worker.live:
            worker.lease_end = now + worker.lease
            if run and run in self.held_by(name) and run.token == token:
                return run
        must(reply == ("stale" if worker and worker.live else "gone"), f"answered {reply} to {name} for {run_id}")
        return self.tell(told, last=True)

    def suspend(self, now: int, name: str, run_id: str, token: int, reply: Any, told: Told) -> None:
        run = self.claim_of(now, name, run_id, token, reply, told)
        if not run:
            return None
        if run.state != "running" or run.suspended:
            expected = {"cancelling": "cancelling", "running": "suspended"}.get(run.state, "stale")
            must(reply == expected, f"suspend of {run} answered {reply}")
            return self.tell(told, last=True)
        run.suspended = True
        must(reply == "suspended", f"suspend of {run} answered {reply}")
        self.happens("suspended", name, run_id)
        return self.settle(now, told, more=None)

    def resume(self, now: int, name: str, run_id: str, token: int, reply: Any, told: Told) -> None:
        run = self.claim_of(now, name, run_id, token, reply, told)
        if not run:
            return None
        if run.state == "cancelling" or not run.suspended:
            must(reply == ("cancelling" if run.state == "cancelling" else "resumed"), f"resume answered {reply}")
            return self.tell(told, last=True)
        run.resuming = run.resuming or next(self.orders)
        self.settle(now, told, more=None)
        return must(reply == ("waiting" if run.suspended else "resumed"), f"resume of {run} answered {reply}")

    def stuck(
        self, now: int, name: str, run_id: str, token: int, outcome: str, argument: str, reply: Any, told: Told
    ) -> None:
        run = self.claim_of(now, name, run_id, token, reply, told)
        if run:
            must(reply == "stuck", f"stuck of {run} answered {reply}")
            if not run.verdict:
                run.state, run.verdict = "cancelling", (outcome, argument)
                self.happens("stuck", name, run_id)
            self.tell(told, last=True)

    def heartbeat(self, now: int, name: str, seen: int, held: Sequence[str], reply: Any, told: Told) -> None:
        worker = self.workers.get(name)
        if not worker or not worker.live:
            return self.nothing(["gone"], reply, told)
        worker.lease_end = now + worker.lease
        if seen >= worker.number:
            worker.pushed = 0
        known = [run for run in self.held_by(name) if run.number <= seen]
        foreign = [run_id for run_id in held if run_id not in {run.id for run in self.held_by(name)}]
        missing = [run for run in known if run.id not in held]
        suspects, worker.missing = worker.missing, set()
        for run in missing:
            if run.id in suspects:
                self.take_back(run, now)
            else:
                worker.missing.add(run.id)
        self.settle(now, told, more=None)
        must(reply[:2] == ["ok", now] and reply[3] == foreign, f"heartbeat answered {reply}, foreign {foreign}")
        return must(self.orders_in(reply[2]) == self.open_orders(worker), f"heartbeat orders {reply[2]}")

    def drain(self, name: str, reply: Any, told: Told) -> None:
        worker = self.workers.get(name)
        alive = worker and worker.live
        if worker and alive:
            worker.state, worker.listed = "draining", False
        must(reply == ("ok" if alive else "gone"), f"drain answered {reply}")
        self.tell(told, last=True)

    def leave(self, now: int, name: str, reply: Any, told: Told) -> None:
        worker = self.workers.get(name)
        if not worker:
            return self.nothing(["gone", now, 0], reply, told)
        if worker.live:
            self.lose(worker)
        for run in self.held_by(name)[:64]:
            if self.lives_on(worker, run):
                self.orphan(worker, run, now)
            elif run.state == "cancelling":
                self.end_cancelling(run, "asked", now)
            else:
                self.come_back(run, "handed_back")
        self.forget(worker)
        must(reply[:2] == ["ok", now], f"leave answered {reply}")
        return self.settle(now, told, more=reply[2])

    def tick(self, now: int, reply: Any, told: Told) -> None:
        lease = self.longest_lease
        last = self.last_tick
        if last is None or now < last or now - last > max(500, lease / 4) or self.floor > now + lease:
            self.floor = now + lease
        self.last_tick = now
        for worker in self.workers.values():
            if worker.live and worker.lease_end > now + lease:
                worker.lease_end = now + worker.lease
        silent = [worker for worker in self.workers.values() if worker.live and worker.lease_end <= now]
        silent = silent if self.floor <= now else []
        for worker in sorted(silent, key=lambda worker: (worker.lease_end, worker.name))[:16]:
            self.lose(worker)
        lost = [worker for worker in self.workers.values() if worker.state == "lost"]
        taken = orphaned = 0
        if lost:
            gone = next((word for kind, head, word in told if (kind, head) == ("worker", "gone")), "")
            must(gone in {worker.name for worker in lost}, f"a lost worker is taken back a tick, not {gone!r}")
            for run in self.held_by(gone):
                if self.lives_on(self.workers[gone], run):
                    self.orphan(self.workers[gone], run, now)
                    orphaned += 1
                else:
                    self.take_back(run, now)
                    taken += 1
            self.forget(self.workers[gone])
        unconfirmed = 0
        if self.floor <= now:
            unconfirmed = self.take_back_unconfirmed(now)
            taken += self.give_up_orphans(now)
        found = [now, len(silent[:16]), taken, orphaned, unconfirmed]
        must([reply[0], *reply[2:]] == found, f"tick answered {reply}, not {found}")
        must(reply[1] or len(lost) <= 1, "tick leaves lost workers and does not say so")
        self.settle(now, told, more=reply[1])


def bucket_name(queue: str, labels: Sequence[str] = (), keys: Sequence[str] = ()) -> str:
    return "|".join([queue, ",".join(sorted(labels)), *keys])


def make_run(run_id: str, bucket: str, due: int = 0, deadline: int = 0) -> Run:
    return Run(run_id, Bucket.parse(bucket), f"spec of {run_id}", due=due, deadline=deadline)
