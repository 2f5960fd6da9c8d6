"""Checks of a pool: who serves it, and who looks after it."""

from collections import Counter
from collections.abc import Sequence

from ..models import WorkerInfo
from ..names import split_bucket
from ..store.inspection import PoolLook
from .findings import Finding, error, fine, some, warning

_SILENT_MS, _LATE_MS = 5_000, 5_000
_TICKS_MISSED = 4


def check_workers(look: PoolLook, workers: Sequence[WorkerInfo], version: str) -> Finding:
    """How many there are; leases that ended; other versions than ours."""
    ended = [worker.id for worker in workers if _is_silent(worker, look.now_ms)]
    others = Counter(worker.version or "unknown" for worker in workers if worker.version != version)
    if ended:
        text = f"{len(ended)} of {len(workers)} workers have a lease that ended and are not taken off: {some(ended)}"
        return warning("workers", text, "a dispatcher does it: `sluice dispatcher start`", look.name)
    if others:
        found = ", ".join(f"{count} of {name}" for name, count in sorted(others.items()))
        text = f"{len(workers)} workers, of them {found}, and this is {version}"
        return warning("workers", text, "start them again from the same release", look.name)
    return fine("workers", f"{len(workers)} workers", look.name)


def check_served(look: PoolLook, workers: Sequence[WorkerInfo]) -> Finding:
    """Whether each run that waits has a worker that may take it."""
    queued = sum(look.depth.values())
    lanes = {worker.lane for worker in workers if worker.state == "online" and not _is_silent(worker, look.now_ms)}
    if not queued:
        return fine("served", "no run waits", look.name)
    if look.paused:
        remedy = f"`sluice pool resume {look.name}`, when it should go on"
        return warning("served", f"{queued} runs wait, and the pool is paused", remedy, look.name)
    if not lanes:
        remedy = f"`sluice worker start --pool {look.name}`"
        return error("served", f"{queued} runs wait, and no live worker takes any", remedy, look.name)
    left = [_described(one) for one in look.classes if not any(_takes(lane, one) for lane in lanes)]
    if left:
        text = f"no live worker takes what waits in {some(left)}"
        return error("served", text, "start a worker with these queues and labels", look.name)
    return fine("served", f"{queued} runs wait, and each has a worker that may take it", look.name)


def check_dispatcher(look: PoolLook, tick_ms: int) -> Finding:
    """Whether a dispatcher looks after the pool."""
    remedy = "`sluice dispatcher start`: without one, runs of dead workers are not taken back"
    if look.tick_ms is None:
        return error("dispatcher", "no dispatcher has looked after this pool yet", remedy, look.name)
    silent = look.now_ms - look.tick_ms
    if silent > _SILENT_MS + _TICKS_MISSED * tick_ms:
        text = f"no dispatcher has looked after this pool for {silent // 1000:,} s"
        return error("dispatcher", text, remedy, look.name)
    return fine("dispatcher", "looked after", look.name)


def check_scheduler(look: PoolLook) -> Finding:
    """Whether what is due becomes queued."""
    late = look.now_ms - (look.due_since_ms or look.now_ms)
    if look.overdue and late > _LATE_MS:
        text = f"{look.overdue} runs or deadlines are overdue, the first by {late // 1000:,} s"
        return error("scheduler", text, "`sluice scheduler start`", look.name)
    return fine("scheduler", "nothing is overdue", look.name)


def check_lost(look: PoolLook) -> Finding:
    """Whether the runs of dead workers came back."""
    if look.lost:
        text = f"runs of dead workers are not all taken back: {some(look.lost)}"
        remedy = "a dispatcher does it in a moment; `sluice dispatcher start` where none runs"
        return warning("lost", text, remedy, look.name)
    return fine("lost", "no dead worker holds runs", look.name)


def check_adoption(look: PoolLook) -> Finding:
    """Whether what lives on without its worker has found another."""
    if look.orphans:
        text = f"{look.orphans} runs go on without their worker, and keep their slots until another one adopts them"
        remedy = "start a worker where they are (for containers: at the same Docker engine), with room for them"
        return warning("adoption", text, remedy, look.name)
    return fine("adoption", "no run waits to be adopted", look.name)


def check_test_clock(look: PoolLook) -> Finding:
    """Whether callers may make up the time."""
    if look.has_test_clock:
        text = "the key of the test clock is there: whoever calls may say what time it is"
        return error("test-clock", text, f"DEL sluice:{{{look.name}}}:test-clock", look.name)
    return fine("test-clock", "time is the server's", look.name)


def _is_silent(worker: WorkerInfo, now_ms: int) -> bool:
    return worker.lease_ends_at.timestamp() * 1000 <= now_ms


def _takes(lane: str, work_class: str) -> bool:
    """Whether workers of a lane may take a class; the forms of both are in README.md, names."""
    filters, has, only = lane.split("|")
    queue, labels, _ = split_bucket(work_class)
    names = [name for name in filters.split(",") if name]
    if names and not any(queue.startswith(name[:-1]) if name.endswith("*") else queue == name for name in names):
        return False
    return set(labels) <= set(has.split(",")) and not (only and not labels)


def _described(work_class: str) -> str:
    queue, labels, _ = split_bucket(work_class)
    return f"queue {queue}" + (f" with {', '.join(labels)}" if labels else "")
