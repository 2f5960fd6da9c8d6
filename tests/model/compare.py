"""The model's state and a dump of Redis, side by side: every run, scope, worker and setting (I3)."""

import re
from typing import Any

from dispatcher.models import TERMINAL

from .dump import Dump, Record
from .reference import Model
from .state import HELD, Run, must

COUNTED = {"published", "retried", "reclaimed", "dead", *map(str, TERMINAL)}


def _same(what: str, real: Any, model: Any) -> None:
    if real != model:
        if isinstance(real, dict) and isinstance(model, dict):
            keys = [key for key in {**real, **model} if real.get(key) != model.get(key)]
            real, model = {key: real.get(key) for key in keys}, {key: model.get(key) for key in keys}
        must(False, f"{what}: Redis has {real}, the model {model}")


def compare(model: Model, dump: Dump, now: int, settled: set[str]) -> None:
    """Raise Violation where they differ. Adds runs that are terminal on both sides to `settled`."""
    _runs(model, dump, settled)
    _scopes(model, dump)
    _workers(model, dump, now)
    _settings(model, dump)
    _counts(model, dump)


def _facts(run: Run, record: Record, row: dict[str, str]) -> tuple[Any, ...]:
    if record.facts:
        state, _, attempt, crashes, token, worker = record.facts[:6]
        return state, attempt, crashes, token, worker
    if row:
        return row["state"], int(row["attempt"]), int(row.get("crashes") or 0), int(row["token"]), row["worker"]
    return ("scheduled" if record.entry == (0, 0) else "queued"), 0, 0, 0, ""


def _runs(model: Model, dump: Dump, settled: set[str]) -> None:
    rows = dump.rows("run")
    _same("runs", set(dump.records) | settled, set(model.runs))
    for run_id, record in dump.records.items():
        run = model.runs[run_id]
        expected = (run.state, run.attempt, run.crashes, run.token, run.worker)
        _same(f"run {run_id}", _facts(run, record, rows.get(run_id, {})), expected)
        _same(f"bucket of {run_id}", (record.bucket, record.spec), (run.bucket.name, run.spec))
        model.entries[run_id] = record.entry[0]
        if record.facts:
            settled.add(run_id)
    _same("runs with a hash", set(rows) - settled, set(rows))
    backlog = {bucket.name: [run.id for run in runs] for bucket, runs in model.backlog().items()}
    real = {bucket: dump.ordered(bucket) for bucket in set(dump.rows("backlog")) | set(dump.rows("front"))}
    for bucket, ids in real.items():
        if ids != backlog.get(bucket):
            _adopt_ties(model, dump, ids, backlog.get(bucket, []))
    backlog = {bucket.name: [run.id for run in runs] for bucket, runs in model.backlog().items()}
    _same("backlog", real, backlog)
    _same("due", {member: int(at) for member, at in dump.one("due", [])}, model.due_members())
    for what, state in (("depth", "queued"), ("later", "scheduled")):
        counts: dict[str, int] = {}
        for run in model.runs.values():
            if run.state == state:
                counts[run.bucket.queue] = counts.get(run.bucket.queue, 0) + 1
        _same(what, {queue: int(n) for queue, n in dump.one(what, {}).items()}, counts)


def _adopt_ties(model: Model, dump: Dump, real: list[str], expected: list[str]) -> None:
    """Runs that came back in another order because their entries carry the same time; the model takes that order."""
    if sorted(real) != sorted(expected):
        return
    entries = [dump.records[run_id].entry for run_id in real]
    moved = [index for index, run_id in enumerate(real) if run_id != expected[index]]
    if len({entries[index][0] for index in moved}) == 1:
        for run_id, order in zip(real, sorted(model.runs[run_id].order for run_id in real), strict=True):
            model.runs[run_id].order = order


def _scopes(model: Model, dump: Dump) -> None:
    expected: dict[str, set[str]] = {}
    for run in model.held():
        scopes = [] if run.suspended else ["", f"queue:{run.bucket.queue}", *(f"key:{key}" for key in run.bucket.keys)]
        for scope in [*scopes, *([f"worker:{run.worker}"] if run.worker else [])]:
            expected.setdefault(scope, set()).add(run.id)
    real = {scope: {member for member, _ in rows} for scope, rows in dump.rows("slots").items()}
    _same("holders", real, expected)
    waiting: dict[str, set[str]] = {}
    for run in model.held():
        for scope in [f"worker:{run.worker}", f"queue:{run.bucket.queue}"] if run.suspended else []:
            waiting.setdefault(scope, set()).add(run.id)
    rows = dump.rows("suspended").items()
    _same("suspended", {scope: {member for member, _ in members} for scope, members in rows}, waiting)
    line = sorted((run for run in model.held() if run.resuming), key=lambda run: run.resuming)
    _same("resuming", [member for member, _ in dump.one("resuming", [])], [run.id for run in line])
    orphans = {run.id: run.orphan_until for run in model.orphans()}
    _same("orphans", {member: int(until) for member, until in dump.one("orphans", [])}, orphans)
    sites = {site: [member for member, _ in rows] for site, rows in dump.rows("orphans").items() if site}
    _same(
        "orphans of sites",
        sites,
        {
            site: [run.id for run in model.orphans() if run.site == site]
            for site in {run.site for run in model.orphans()}
        },
    )
    _same("orphans of the pool", dump.one("", {}).get("orphans"), "1" if orphans else None)
    for worker in model.workers:
        numbers = {member: int(score) for member, score in dump.rows("slots").get(f"worker:{worker}", [])}
        _same(f"numbers of {worker}", numbers, {run.id: run.number for run in model.held_by(worker)})


def _workers(model: Model, dump: Dump, now: int) -> None:
    listed = {member: lane for lane, rows in dump.rows("idle:").items() for member, _ in rows}
    for worker in model.workers.values():
        if worker.listed and worker.name not in listed and model.lease_end(worker) <= now:
            worker.listed = False  # met by a settle, found silent
    _same("idle", listed, {worker.name: worker.lane for worker in model.workers.values() if worker.listed})
    leases = {member: int(score) for member, score in dump.one("workers", [])}
    _same("leases", leases, {worker.name: worker.lease_end for worker in model.workers.values() if worker.live})
    _same("lost", set(dump.one("lost", [])), {w.name for w in model.workers.values() if w.state == "lost"})
    pushed = {member: int(score) for member, score in dump.one("pushed", [])}
    _same("pushed", pushed, {worker.name: worker.confirm_by for worker in model.workers.values() if worker.pushed})
    early = {member: int(score) for member, score in dump.one("ahead", [])}
    _same("ahead", early, {worker.name: worker.ahead for worker in model.workers.values() if worker.ahead})
    _same("ahead of the pool", int(dump.one("", {}).get("ahead", 0)), model.ahead())
    sites = {site: set(names) for site, names in dump.rows("site").items()}
    found = {worker.site for worker in model.workers.values() if worker.site}
    _same("sites", sites, {site: {w.name for w in model.workers.values() if w.site == site} for site in found})
    _same("lanes", set(dump.one("lanes", [])), {worker.lane for worker in model.workers.values()})
    real = {}
    for name, row in dump.rows("worker").items():
        missing = set(row.get("missing", "").split())
        real[name] = (row["state"], row["lane"], int(row["capacity"]), int(row["number"]), missing)
    expected = {w.name: (w.state, w.lane, w.capacity, w.number, w.missing) for w in model.workers.values()}
    _same("workers", real, expected)
    orders = {worker.name: worker.orders for worker in model.workers.values() if worker.orders}
    real_orders = {name: {run: int(token) for run, token in row.items()} for name, row in dump.rows("orders").items()}
    _same("orders", real_orders, orders)
    watch = dump.one("watch", {})
    if model.last_tick is not None:
        _same("watch", (int(watch["tick"]), int(watch["floor"])), (model.last_tick, model.floor))


def _settings(model: Model, dump: Dump) -> None:
    pool = dump.one("", {})
    real_pool = (pool.get("limit") or None, pool["paused"] == "1")
    _same("pool", real_pool, (None if model.limit is None else str(model.limit), model.paused))
    real = {}
    for name, row in dump.rows("queue").items():
        limit = int(row["limit"]) if row.get("limit") else None
        real[name] = (int(row["priority"]), limit, row.get("paused") == "1", "deleting" in row)
    _same("queues", real, {q.name: (q.priority, q.limit, q.paused, q.deleting) for q in model.queues.values()})
    priorities = {queue.name: queue.priority for queue in model.queues.values()}
    _same("priorities", {name: int(score) for name, score in dump.one("queues", [])}, priorities)
    _same("used priorities", {int(name) for name, _ in dump.one("priorities", [])}, set(priorities.values()))
    said = {key: f"{limit},{model.policies[key]}" if key in model.policies else str(limit)
            for key, limit in model.limits.items()}  # fmt: skip
    _same("limits", dump.one("limits", {}), said)
    present = {key: {member for member, _ in rows} for key, rows in dump.rows("present").items()}
    _same("present", present, {key: set(runs) for key, runs in model.present.items() if runs})
    _same("cache", dump.rows("cache"), model.cache)
    caching = {run: text.partition(" ")[2] for run, text in dump.rows("caching").items()}
    _same("caching", caching, model.caching)
    _same("idempotency", dump.rows("idem"), model.idempotency)
    _same("dead letters", {member for member, _ in dump.one("dead", [])}, model.dead)
    _same("held", {run.id for run in model.held()}, {run.id for run in model.runs.values() if run.state in HELD})


def _counts(model: Model, dump: Dump) -> None:
    """What was counted by queue; of the two histograms as much as a model without a clock of streams can know."""
    told = {queue: {word: int(n) for word, n in row.items()} for queue, row in dump.rows("counts").items()}
    real = {queue: {word: n for word, n in row.items() if word in COUNTED} for queue, row in told.items()}
    for queue, row in told.items():
        admitted = sum(n for word, n in row.items() if re.fullmatch(r"w\d*", word))
        real[queue] |= {"admitted": admitted} if admitted else {}
        ran = sum(n for word, n in row.items() if re.fullmatch(r"d\d*", word))
        must(ran <= admitted and row.get("late", 0) <= admitted, f"histograms of {queue}: {row}")
    _same("counts", real, {queue: dict(counts) for queue, counts in model.counts.items() if counts})
