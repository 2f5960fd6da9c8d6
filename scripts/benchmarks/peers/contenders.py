"""The peers: what each is installed from (the one place of their versions), how it is set, how its worker starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness import Programs

_USUAL = frozenset({"drain", "two-workers", "publish", "latency", "memory", "due"})
_TUNED = frozenset({"drain", "two-workers", "latency", "due"})
# taskiq wants a scheduler process for that; delayed runs of huey did not begin in our setting, why is not known.
_NOT_DUE = {"taskiq", "huey"}
_BLOCKING, _ASYNC, _ALL = ("one",), ("one", "at-once"), ("one", "at-once", "bulk")
_TYPES = "typing-extensions==4.16.0"
_SPEED = ("hiredis==3.5.0", "uvloop==0.23.0")
_TASKIQ = ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", "msgpack==1.2.4", *_SPEED)
_ARQ = ("arq==0.28.0", "redis==5.3.1", *_SPEED)
_DOCKET = ("pydocket==0.27.0", "redis==8.1.0", *_SPEED)


@dataclass(frozen=True, kw_only=True)
class Peer(Programs):
    """A contender that is installed: from PyPI into an environment of its own, or through npm (kind `node`)."""

    needs: Sequence[str]
    note: str
    own: Sequence[str] = ()  # its own worker command after `python -P`; without it the worker is a role of our module
    variables: Sequence[str] = ()
    kind: str = "python"

    @property
    def environment(self) -> str:
        """The folder it is installed into; variants of one peer share it."""
        return self.name.partition(":")[0]

    def command(self, role: str) -> list[str]:
        """Return the command line of a role."""
        variables = ["env", *self.variables] if self.variables else []
        if self.kind == "node":
            return [*variables, "node", self.module, role]
        if role == "worker" and self.own:
            return [*variables, self.python, "-P", *self.own]
        return [*variables, *super().command(role)]


def _peer(
    name: str,
    needs: Sequence[str],
    note: str,
    runs: int,
    modes: Sequence[str],
    *,
    own: str = "",
    variables: str = "",
) -> Peer:
    """Return a peer of Python whose adapter has its name; a variant that is tuned skips what tuning cannot change."""
    environment = name.partition(":")[0]
    return Peer(
        name=name,
        module=f"benchmarks.peers.{environment}",
        scenarios=_TUNED if name.endswith(":tuned") else _USUAL - ({"due"} if environment in _NOT_DUE else set()),
        runs=runs,
        modes=modes,
        needs=needs,
        note=note,
        own=own.split(),
        variables=variables.split(),
    )


# One process, as many at once as by default. Its log is cut to errors, which favours it.
_TASKIQ_WORKER = "-m taskiq worker benchmarks.peers.taskiq:broker --workers 1 --max-async-tasks 100 --log-level ERROR"

PEERS = (
    _peer("taskiq", _TASKIQ, "stream broker, no results", 8_000, _ASYNC, own=_TASKIQ_WORKER),
    _peer("taskiq:results", _TASKIQ, "keeps results", 6_000, _ASYNC, own=_TASKIQ_WORKER, variables="BENCH_RESULTS=1"),
    _peer(
        "dramatiq",
        ("dramatiq==2.2.1", "redis==8.1.0", *_SPEED),
        "1 process, 100 threads, no results",
        8_000,
        _BLOCKING,
        # Not its default of one process a core and 8 threads: one process, 100 at once.
        own="-m dramatiq benchmarks.peers.dramatiq:broker --processes 1 --threads 100",
    ),
    # keep_result 0; the poll every 500 ms is its default and its guide names no other.
    _peer("arq", _ARQ, "max_jobs 100, keep_result 0, polls each 500 ms (default)", 2_000, _ASYNC),
    _peer("arq:tuned", _ARQ, "poll_delay 5 ms, queue_read_limit 2000", 4_000, _ASYNC, variables="BENCH_TUNED=1"),
    _peer(
        "saq",
        ("saq==0.26.4", "redis==7.4.1", _TYPES, *_SPEED),
        "concurrency 100, ttl -1 (no results)",
        5_000,
        _ASYNC,
    ),
    _peer(
        "huey",
        ("huey==3.5.4", "redis==8.1.0", "gevent==26.9.0", *_SPEED),
        "100 greenlets, results off",
        6_000,
        _BLOCKING,
        # A greenlet worker wants the standard library patched first, its scheduler never runs otherwise.
        own="-m gevent.monkey --module huey.bin.huey_consumer benchmarks.peers.huey.huey"
        " --workers 100 --worker-type greenlet --quiet",
    ),
    _peer(
        "celery",
        ("celery==5.7.0", "kombu==5.7.0", "packaging==26.3", "redis==8.1.0", *_SPEED),
        "100 threads, results ignored",
        2_500,
        _BLOCKING,
        own="-m celery -A benchmarks.peers.celery:app worker --pool threads --concurrency 100 --loglevel ERROR",
    ),
    _peer("streaq", ("streaq==7.2.0", "coredis==6.9.0", *_SPEED), "concurrency 100, ttl 0 (no results)", 2_500, _ALL),
    _peer("docket", _DOCKET, "concurrency 100, execution_ttl 0, checks each 250 ms (default)", 800, _ALL),
    _peer("docket:tuned", _DOCKET, "checks each 5 ms", 4_000, _ALL, variables="BENCH_TUNED=1"),
    Peer(
        name="bullmq",
        module="bullmq.cjs",
        scenarios=_USUAL,
        runs=25_000,
        needs=("bullmq@6.7.0", "ioredis@6.0.0"),
        note="node, concurrency 100, finished jobs removed",
        kind="node",
    ),
)
