"""The model and the real engine side by side: each call is made, judged, and the two states compared."""

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from .compare import compare
from .dump import Dump, problems
from .engine import Answer, Engine
from .reference import End, Model, bucket_name, make_run
from .state import AHEAD, Run, Worker, must

# What a second sending of the same call may change: whose turn is next, and how far parking has been looked at.
ORDER = {"rank", "idle", "idle:", "ready", "awake", "classes", "parked", "waiting", "waiters"}
ORDER |= {"watch", "queue", "lanes"}


class Pair:
    """Public methods are the calls; any of them raises Violation when the engine does not do what the model says."""

    def __init__(self, engine: Engine, *, full: bool = True) -> None:
        """`full` compares a dump after each call; else only when `check` is called."""
        self.engine = engine
        self.model = Model()
        self.full = full
        self.settled: set[str] = set()
        self.published = 0
        self.joined = 0
        self.steps = 0
        self.read: Dump | None = None
        reply = engine.call("pool", "create", "function").reply
        must(reply == ["ok", 0], f"pool create answered {reply}")

    @property
    def now(self) -> int:
        return self.engine.now

    def _call(self, name: str, *args: Any) -> Answer:
        model = self.model
        before = model.sweeping if self.full else self.engine.sweeping()
        answer = self.engine.call(name, *args)
        model.sweeping = self.engine.sweeping() or before
        return answer

    def _twice(self, apply: Callable[[Answer], None], name: str, *args: Any, again: bool) -> Answer:
        """Make the call, judge it, and with `again` send the same bytes a second time (I6)."""
        answer = self._call(name, *args)
        apply(answer)
        self._after()
        if again and self.model.leftover == 0 and not self.model.sweeping:
            dump, admissions = self.engine.dump(), self.model.admissions
            second = self._call(name, *args)
            apply(second)
            self._after()
            must(self.model.admissions == admissions, f"I6: {name} sent twice admitted {second.told}")
            self._must_be_unchanged(name, dump, self.engine.dump())
            if name == "turn" and answer.reply[0] == "ok":
                must(second.reply[6] == answer.reply[6], f"I6: turn handed {answer.reply[6]}, then {second.reply[6]}")
        return answer

    @staticmethod
    def _must_be_unchanged(name: str, first: Dump, second: Dump) -> None:
        for word in (first.keys.keys() | second.keys.keys()) - ORDER:
            was, became = first.rows(word), second.rows(word)
            must(was == became, f"I6: {name} sent twice changed {word}: {was} to {became}")
        must(first.records == second.records, f"I6: {name} sent twice changed records")

    def _after(self) -> None:
        self.steps += 1
        if self.full:
            self.check()

    def check(self) -> None:
        """Everything that must hold between two calls."""
        dump = self.engine.dump(self.settled)
        self.model.sweeping = bool(dump.one("sweeps", {}))
        found = problems(dump)
        must(not found, f"shape: {found}")
        compare(self.model, dump, self.now, self.settled)
        self.model.check_work_conserving(self.now)

    def check_all(self) -> None:
        """As `check`, and read the records of finished runs again: terminal is terminal."""
        self.settled.clear()
        self.check()

    # -- the calls -------------------------------------------------------------------------------------------------

    def publish(
        self,
        buckets: Sequence[tuple[str, Sequence[str], Sequence[str]]],
        *,
        delay: int = 0,
        deadline: int = 0,
        key: str = "",
        cache: str = "",
        old: Sequence[str] = (),
        again: bool = False,
    ) -> None:
        """One run a bucket (queue, labels, keys), and once more the ids `old`, as if they were new."""
        runs: list[tuple[Run, str, str]] = []
        args: list[Any] = []
        ids = [f"r{self.published + index:06}" for index in range(len(buckets))] + list(old)
        self.published += len(buckets)
        names = [bucket_name(*bucket) for bucket in buckets]
        names += [self.model.runs[run_id].bucket.name for run_id in old]
        due, end = (self.now + delay if delay else 0), (self.now + deadline if deadline else 0)
        for index, (run_id, name) in enumerate(zip(ids, names, strict=True)):
            idempotency = key if index == 0 else ""
            row = [due, end, idempotency, 3_600_000, "", "", "", "", cache, 3_600_000]
            extra = msgpack.packb(row) if due or end or idempotency or cache else ""
            run = make_run(run_id, name, due=due, deadline=end)
            runs.append((run, idempotency, cache))
            args += [run_id, name, extra, run.spec]
        now = self.now
        self._twice(lambda a: self.model.publish(now, runs, a.reply, a.told), "publish", *args, again=again)

    def join(
        self, lane: str, capacity: int, lease: int, *, auto: bool, queues: Sequence[str], again: bool, site: str = ""
    ) -> str:
        """A worker whose lane says so prepares runs half a second before they are due."""
        self.joined += 1
        name = f"w{self.joined:04}"
        worker = Worker(name, lane, capacity, lease, auto, 0, 500 if AHEAD in lane else 0, site)
        args = (name, lane, capacity, lease, "function", int(auto), site, worker.ahead, "", *queues)
        now = self.now
        self._twice(lambda a: self.model.join(now, worker, queues, a.reply, a.told), "join", *args, again=again)
        return name

    def turn(self, name: str, seen: int, *, offer: bool, ends: Sequence[End] = (), again: bool = False) -> list[Any]:
        flat = [part for end in ends for part in end]
        now = self.now

        def judge(answer: Answer) -> None:
            self.model.turn(now, name, seen, int(offer), ends, answer.reply, answer.told)

        answer = self._twice(judge, "turn", name, seen, int(offer), *flat, again=again)
        return list(answer.reply)

    def start(self, name: str, claims: Sequence[tuple[str, int]], *, again: bool = False) -> None:
        flat = [part for run_id, token in claims for part in (run_id, token, "pod")]
        now = self.now
        self._twice(lambda a: self.model.start(now, name, claims, a.reply, a.told), "start", name, *flat, again=again)

    def heartbeat(self, name: str, seen: int, held: Sequence[str], *, again: bool = False) -> None:
        now = self.now
        worker = self.model.workers.get(name)
        known = self.model.held_by(name) if worker else []
        whole = all(run.id in held for run in known if run.number <= seen)

        def judge(answer: Answer) -> None:
            self.model.heartbeat(now, name, seen, held, answer.reply, answer.told)

        # Sent twice, a list that lacks a run counts as two mismatches: heartbeats are not retried.
        self._twice(judge, "heartbeat", name, seen, "", *held, again=again and whole)

    def suspend(self, name: str, run_id: str, token: int, *, again: bool = False) -> str:
        now, claim = self.now, (name, run_id, token)
        judge = self.model.suspend
        return str(self._twice(lambda a: judge(now, *claim, a.reply, a.told), "suspend", *claim, again=again).reply)

    def resume(self, name: str, run_id: str, token: int, *, again: bool = False) -> str:
        now, claim = self.now, (name, run_id, token)
        judge = self.model.resume
        return str(self._twice(lambda a: judge(now, *claim, a.reply, a.told), "resume", *claim, again=again).reply)

    def stuck(self, name: str, run_id: str, token: int, verdict: tuple[str, str], *, again: bool = False) -> None:
        now, said = self.now, (name, run_id, token, *verdict)
        self._twice(lambda a: self.model.stuck(now, *said, a.reply, a.told), "stuck", *said, "x", again=again)

    def drain(self, name: str, *, again: bool = False) -> None:
        self._twice(lambda a: self.model.drain(name, a.reply, a.told), "drain", name, "drain", again=again)

    def leave(self, name: str, *, again: bool = False) -> None:
        now = self.now
        self._twice(lambda a: self.model.leave(now, name, a.reply, a.told), "leave", name, again=again)

    def cancel(self, ids: Sequence[str], *, again: bool = False) -> None:
        now = self.now
        self._twice(lambda a: self.model.cancel(now, ids, a.reply, a.told), "cancel", "asked", 0, *ids, again=again)

    def promote(self, most: int = 64, *, again: bool = False) -> None:
        now = self.now
        self._twice(lambda a: self.model.promote(now, most, a.reply, a.told), "promote", most, again=again)

    def tick(self) -> None:
        answer = self._call("tick")
        self.model.tick(self.now, answer.reply, answer.told)
        self._after()

    def pool(self, *, again: bool = False, **fields: str) -> None:
        now = self.now
        args = [part for field in fields.items() for part in field]
        self._twice(
            lambda a: self.model.set_pool(now, fields, a.reply, a.told), "pool", "update", "", *args, again=again
        )

    def queue(self, mode: str, name: str, *, again: bool = False, **fields: str) -> None:
        now = self.now
        args = [part for field in fields.items() for part in field]

        def judge(answer: Answer) -> None:
            self.model.set_queue(now, mode, name, fields, answer.reply, answer.told)

        self._twice(judge, "queue", mode, name, *args, again=again)

    def limit(self, key: str, value: str, when_full: str = "wait", *, again: bool = False) -> None:
        now, said = self.now, (key, value, when_full)
        self._twice(lambda a: self.model.set_limit(now, *said, a.reply, a.told), "limit", *said, again=again)

    def delete_queue(self, name: str, *, cancel: bool) -> None:
        answer = self._call("delete_queue", name, int(cancel), 0)
        self.model.delete_queue(self.now, name, int(cancel), answer.reply, answer.told)
        self._after()

    def advance(self, ms: int) -> None:
        """Time goes on (or jumps back)."""
        self.engine.now += ms
