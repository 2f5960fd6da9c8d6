"""A simulated server: scripts by their names, answered by the model; streams; the little that is read besides.

What it answers is encoded as the scripts do it, so that the store's own decoders read it.
"""

import hashlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgpack
from redis.exceptions import NoScriptError

from dispatcher import keys, scripts
from tests.model.state import Bucket, Run, Worker

from .mailbox import Mailbox, encoded
from .specified import Specified, blank
from .timetable import HEAD, RUN, Timetable

START_MS = 1_800_000_000_000
POOL = "p"
ROOT = keys.root(POOL)
NAMES = {scripts.load(name).sha: name for name in scripts.names()}


def text(value: Any) -> str:
    """An argument as a script reads it."""
    return value.decode() if isinstance(value, bytes) else str(value)


class Server:
    """One pool on one server. Each call is one step: nothing happens in between. `seconds` is the time that passes."""

    def __init__(self, random: Random, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.jump_ms = 0
        self.loaded: set[str] = set()
        self.mail = Mailbox(ROOT, self.now_ms)
        self.model = Specified(random, self.mail)
        self.accepted: set[str] = set()
        self.timetable = Timetable(ROOT, START_MS)

    def now_ms(self) -> int:
        """Its clock, which may jump."""
        return START_MS + int(self._seconds() * 1000) + self.jump_ms

    # Calls -----------------------------------------------------------------------------------------------------------

    def evaluate(self, script: str, args: Sequence[Any]) -> Any:
        """A script by its hash."""
        if script not in self.loaded:
            raise NoScriptError("NOSCRIPT No matching script")
        return self.call(NAMES[script], args)

    def load(self, text: str) -> bytes:
        """Know a script from now on."""
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.loaded.add(sha)
        return sha.encode()

    def call(self, name: str, args: Sequence[Any]) -> Any:
        """Run a script; then what must always hold is looked at."""
        known = scripts.load(name)
        known.check(args)
        if known.arguments and known.arguments[0][0] == "now_ms":
            args = args[1:]
        now = self.now_ms()
        choices = self.model.choices(now)
        reply = getattr(self, f"_{name}")(now, choices, *args)
        self.model.check_work_conserving(now)
        return encoded(reply)

    def execute(self, command: Sequence[Any]) -> Any:
        """What is read without a script."""
        word, *rest = command
        if word == "SMEMBERS":
            return {POOL.encode()} if rest[0] == keys.CATALOGUE else set()
        if word == "TIME":
            now = self.now_ms()
            return [now // 1000, now % 1000 * 1000]
        if word == "EXISTS" and rest[0].startswith(f"{ROOT}:r:"):
            return int(rest[0].removeprefix(f"{ROOT}:r:") in self.model.runs)
        if (found := self.timetable.read(word, *rest)) is not None:
            return found
        raise AssertionError(f"the simulated server knows no {word} {rest}")

    def read(self, streams: dict[str, str], count: int | None) -> list[Any]:
        """XREAD, without waiting."""
        found = [(key, self.mail.after(key, last, count)) for key, last in streams.items()]
        return [[key.encode(), entries] for key, entries in found if entries]

    # Publishing ------------------------------------------------------------------------------------------------------

    def _publish(self, now: int, told: Any, *rest: Any) -> Any:
        batch, clients = [], []
        for start in range(0, len(rest), 4):
            run_id, bucket, extra, spec = rest[start : start + 4]
            options = [*(msgpack.unpackb(extra) if extra else []), *[None] * 10]
            run = Run(text(run_id), Bucket.parse(text(bucket)), spec, due=options[0] or 0, deadline=options[1] or 0)
            batch.append((run, options[2] or "", options[8] or ""))
            clients.append((run.id, options[4]))
        new = {run.id for run, _, _ in batch} - self.model.runs.keys()
        reply = blank()
        self.model.publish(now, batch, reply, told)
        for run, _, _ in batch:
            if run.id in new and run.deadline:
                self.model.ring(run.deadline)
        self.accepted |= {run_id for run_id in new if run_id in self.model.runs}
        return reply.value

    def _cancel(self, now: int, told: Any, reason: Any, tree: Any, *ids: Any) -> Any:
        reply = blank()
        self.model.cancel(now, [text(run_id) for run_id in ids], reply, told)
        return reply.value

    def _wait(self, now: int, told: Any, client: Any, *ids: Any) -> Any:
        return [self._end_of(text(client), text(run_id)) for run_id in ids]

    def _end_of(self, client: str, run_id: str) -> Any:
        if run_id not in self.model.runs:
            return 0
        if facts := self.model.facts.get(run_id):
            return [facts[0], msgpack.packb(facts, use_bin_type=False)]
        listeners = self.model.listeners.setdefault(run_id, [])
        if client not in listeners:
            listeners.append(client)
        return ""

    def _promote(self, now: int, told: Any, most: int) -> Any:
        reply = blank()
        self.model.promote(now, int(most), reply, told)
        return self._with_more(reply, 4, more=min(self.model.due_members().values(), default=now + 1) <= now)

    @staticmethod
    def _with_more(reply: Any, place: int, *, more: bool) -> Any:
        value = list(reply.value)
        value[place] = int(more)
        return value

    # Workers ---------------------------------------------------------------------------------------------------------

    def _join(self, now: int, told: Any, *args: Any) -> Any:
        name, lane, capacity, lease, _, auto, site, ahead, _, *queues = args
        worker = Worker(text(name), text(lane), int(capacity), int(lease), bool(int(auto)), 0, int(ahead), text(site))
        reply = blank()
        self.model.join(now, worker, [text(queue) for queue in queues], reply, told)
        return reply.value

    def _turn(self, now: int, told: Any, name: Any, seen: Any, offer: Any, *flat: Any) -> Any:
        ends = [
            (text(flat[i]), int(flat[i + 1]), text(flat[i + 2]), text(flat[i + 3]), flat[i + 4])
            for i in range(0, len(flat), 5)
        ]
        reply = blank()
        self.model.turn(now, text(name), int(seen), int(offer), ends, reply, told)
        return reply.value

    def _start(self, now: int, told: Any, name: Any, *flat: Any) -> Any:
        claims = [(text(flat[i]), int(flat[i + 1])) for i in range(0, len(flat), 3)]
        pending = {run_id for run_id, _ in claims if self._is_pending(run_id)}
        reply = blank()
        self.model.start(now, text(name), claims, reply, told)
        for (run_id, _), infrastructure in zip(claims, flat[2::3], strict=True):
            if run_id in pending and not self._is_pending(run_id):
                self.model.runs[run_id].infrastructure = text(infrastructure)
                self.model.times[run_id]["started"] = now
        return reply.value

    def _is_pending(self, run_id: str) -> bool:
        run = self.model.runs.get(run_id)
        return run is not None and run.state == "pending"

    def _heartbeat(self, now: int, told: Any, name: Any, seen: Any, show: Any, *held: Any) -> Any:
        reply = blank()
        self.model.heartbeat(now, text(name), int(seen), [text(run_id) for run_id in held], reply, told)
        return reply.value

    def _leave(self, now: int, told: Any, name: Any) -> Any:
        reply = blank()
        self.model.leave(now, text(name), reply, told)
        return reply.value

    def _drain(self, now: int, told: Any, name: Any, how: Any) -> Any:
        reply, worker = blank(), self.model.workers.get(text(name))
        if worker and worker.live:
            self.mail.letter(worker.name, [how, ""])
            if text(how) == "stop":
                self.model.stopping.add(worker.name)
        self.model.drain(text(name), reply, told)
        return reply.value

    def _suspend(self, now: int, told: Any, name: Any, run_id: Any, token: Any) -> Any:
        reply = blank()
        self.model.suspend(now, text(name), text(run_id), int(token), reply, told)
        return reply.value

    def _resume(self, now: int, told: Any, name: Any, run_id: Any, token: Any) -> Any:
        reply = blank()
        self.model.resume(now, text(name), text(run_id), int(token), reply, told)
        return reply.value

    def _stuck(self, now: int, told: Any, name: Any, run_id: Any, token: Any, *verdict: Any) -> Any:
        reply = blank()
        outcome, argument = (text(word) for word in verdict[:2])
        run = self.model.runs.get(text(run_id))
        is_first = run is not None and not run.verdict
        self.model.stuck(now, text(name), text(run_id), int(token), outcome, argument, reply, told)
        if is_first and run and run.verdict:
            self.model.verdicts[run.id] = verdict[2]
        return reply.value

    # Settings and services -------------------------------------------------------------------------------------------

    def _pool(self, now: int, told: Any, mode: Any, kind: Any, *flat: Any) -> Any:
        return self._set(self.model.set_pool, now, told, flat)

    def _queue(self, now: int, told: Any, mode: Any, name: Any, *flat: Any) -> Any:
        return self._set(self.model.set_queue, now, told, flat, text(mode), text(name))

    @staticmethod
    def _set(change: Callable[..., Any], now: int, told: Any, flat: Sequence[Any], *which: str) -> Any:
        words = [text(word) for word in flat]
        reply = blank()
        change(now, *which, dict(zip(words[::2], words[1::2], strict=True)), reply, told)
        return reply.value

    def _limit(self, now: int, told: Any, key: Any, value: Any, when_full: Any) -> Any:
        reply = blank()
        self.model.set_limit(now, text(key), text(value), text(when_full), reply, told)
        return reply.value

    def _tick(self, now: int, told: Any) -> Any:
        reply = blank(6)
        self.model.tick(now, reply, told)
        return self._with_more(reply, 1, more=any(worker.state == "lost" for worker in self.model.workers.values()))

    def _sweep(self, now: int, told: Any) -> Any:
        return [0]

    def _retain(self, now: int, told: Any, most: Any) -> Any:
        return [0, 0, 0]

    def _agenda(self, now: int, told: Any, most: Any) -> Any:
        return [now, self.model.ahead(), [], self.timetable.agenda()]

    def _fire(self, now: int, told: Any, *flat: Any) -> Any:
        statuses, published, at = [], [], 0
        while at < len(flat):
            head = [text(word) for word in flat[at : at + HEAD]]
            end = at + HEAD + RUN * int(head[-1])
            statuses.append(self.timetable.fire(now, self.model.ahead(), head, published, flat[at + HEAD : end]))
            at = end
        reply = self._publish(now, told, *published)
        assert len(reply) == 3, f"an instant is published a second time: {reply}"
        return [*reply, *statuses]

    def _audit(self, now: int, told: Any, *args: Any) -> Any:
        """Another one has the turn: the model is the audit here."""
        return ["elsewhere", 60_000]

    def _intake(self, now: int, told: Any, publisher: Any, *entries: Any) -> Any:
        return ["ok", now, 0, [], [], []]
