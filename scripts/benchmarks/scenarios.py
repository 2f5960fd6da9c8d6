"""The scenarios: each sets up one load for a contender, and says in its docstring what it measures."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from benchmarks.durability import durability
from benchmarks.harness import Context, Meter, Result, percentiles
from benchmarks.machine import Process, wait_for

SAMPLES = 300
_IDLE_SECONDS = 4.0
_LATE_CLIENTS = 12  # connections that services open once there is a pool; their buffers are small beside the runs


def drain(context: Context) -> Result:
    """Drain no-op runs published beforehand, by one worker: runs/s from first to last handler; CPU a run."""
    return _drain(context, runs=context.scale(context.contender.runs), workers=1)


def two_workers(context: Context) -> Result:
    """Do the same with two worker processes."""
    return _drain(context, runs=context.scale(context.contender.runs * 2), workers=2)


def publish(context: Context) -> Result:
    """Publish from one process: one awaited after the other, 50 at once, calls of 100; publishes a second."""
    result: Result = {}
    runs = {"one": 4_000, "at-once": 10_000, "bulk": 40_000}
    for mode in context.contender.modes:
        figures = context.start("publish", mode=mode, runs=context.scale(runs[mode])).result()
        result |= {f"{mode}_{name}": value for name, value in figures.items()}
    return result


def latency(context: Context) -> Result:
    """Time single runs, 10 to 20 ms apart, from just before the publish call to the handler; then cost of idling."""
    worker = _warm_worker(context)
    samples = _send(context, worker)
    idle = _idle(context, worker)
    return {**percentiles([now - sent for _, sent, now in samples]), **idle}


def due(context: Context) -> Result:
    """Publish runs 300 ms ahead of their time: how late their handlers start; negative is early."""
    worker = _warm_worker(context)
    return percentiles([now - sent for _, sent, now in _send(context, worker, delay_ms=300)])


def chain(context: Context) -> Result:
    """Let one run at a time: from one handler to the next, that is finish, free slot, next start."""
    return _chain(context, runs=context.scale(2_000))


def many_queues(context: Context) -> Result:
    """Spread a chain over few or many queues, each with a key; all wait for the pool's one slot."""
    return _spread(context, "")


def parked(context: Context) -> Result:
    """Spread a chain over few or many buckets of one queue that share a key of limit 1: all but one are parked."""
    return _spread(context, "parked")


def _spread(context: Context, mode: str) -> Result:
    result: Result = {}
    for queues in (10, 1_000 if context.setting.quick else 10_000):
        with context.again() as fresh:
            figures = _chain(fresh, runs=max(queues, 1_000), queues=queues, measured=1_000, mode=mode)
        result |= {f"{name}@{queues}": value for name, value in figures.items()}
    return result


def backlog(context: Context) -> Result:
    """Drain the first runs of a short and of a very long backlog: the cost of a run must not depend on it."""
    result: Result = {}
    for runs in (1_000, 100_000 if context.setting.quick else 1_000_000):
        with context.again() as fresh:
            figures = _drain(fresh, runs=runs, workers=1, measured=min(runs, 20_000))
        result |= {f"{name}@{runs}": value for name, value in figures.items() if name != "foreign_cores"}
    return result


def memory(context: Context) -> Result:
    """Weigh the server's memory: bytes for each queued run with 100 bytes of payload, and for each finished one."""
    runs = context.scale(min(context.contender.runs, 20_000))
    before, clients = _used(context, 1_000), int(context.server.info()["connected_clients"]) + _LATE_CLIENTS
    context.start("fill", runs=runs, padding=100).result()
    queued = _used(context, clients)
    worker = context.start("worker")
    context.wait_recorded(runs, [worker])
    time.sleep(1.0)  # the last acknowledgements; a peer gives no sign of them
    _end([worker])
    return {"queued_bytes": (queued - before) / runs, "finished_bytes": (_used(context, clients) - before) / runs}


SCENARIOS: dict[str, Callable[[Context], Result]] = {
    "drain": drain,
    "two-workers": two_workers,
    "publish": publish,
    "latency": latency,
    "due": due,
    "chain": chain,
    "many-queues": many_queues,
    "parked": parked,
    "backlog": backlog,
    "memory": memory,
    "durability": durability,
}


def _drain(context: Context, *, runs: int, workers: int, measured: int | None = None) -> Result:
    """Fill, start the workers, time the first `measured` records (all by default)."""
    measured = measured or runs
    context.start("fill", runs=runs).result()
    started = [context.start("worker") for _ in range(workers)]
    context.wait_recorded(1, started)
    meter = Meter(context, started)
    context.wait_recorded(measured, started)
    costs = meter.per_run()
    _end(started)
    times = sorted(now for _, _, now in context.records())[:measured]
    return {"runs_per_s": (len(times) - 1) / (times[-1] - times[0]) * 1e9, **costs}


def _chain(context: Context, *, runs: int, queues: int = 1, measured: int | None = None, mode: str = "") -> Result:
    context.start("fill", runs=runs, limit=1, queues=queues, mode=mode).result()
    worker = context.start("worker")
    context.wait_recorded(measured or runs, [worker])
    _end([worker])
    times = sorted(now for _, _, now in context.records())[: measured or runs]
    figures = percentiles([later - earlier for earlier, later in pairwise(times)])
    return {"runs_per_s": (len(times) - 1) / (times[-1] - times[0]) * 1e9, **figures}


def _warm_worker(context: Context) -> Process:
    """Start a worker and let it run a few, so that what is measured does not contain its start."""
    context.start("fill", runs=20).result()
    worker = context.start("worker")
    context.wait_recorded(20, [worker])
    return worker


def _send(context: Context, worker: Process, delay_ms: int = 0) -> list[tuple[int, int, int]]:
    first, count = context.recorded(), context.scale(SAMPLES)
    context.start("send", runs=count, delay_ms=delay_ms).result()
    context.wait_recorded(first + count, [worker])
    return context.records()[first:]


def _idle(context: Context, worker: Process, seconds: float = _IDLE_SECONDS) -> Result:
    meter = Meter(context, [worker])
    time.sleep(min(seconds, 1.0) if context.setting.quick else seconds)
    return meter.idle()


def _end(workers: Sequence[Process]) -> None:
    for worker in workers:
        worker.end()


def _used(context: Context, clients: int) -> int:
    """Return the server's memory once no more than that many clients are connected: their buffers count too."""
    wait_for(lambda: int(context.server.info()["connected_clients"]) <= clients, "clients have left")
    return int(context.server.info()["used_memory"])
