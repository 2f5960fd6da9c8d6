"""The catalogue of faults: their numbers, what they are and what becomes of them. Tests are marked with the numbers."""

from typing import NamedTuple


class Fault(NamedTuple):
    """What goes wrong, and what happens then."""

    name: str
    happens: str


FAULTS = {
    1: Fault(
        "worker killed while its runs go on",
        "missed at the end of its lease; the runs start elsewhere under new claim tokens, one crash charged",
    ),
    2: Fault("worker killed between hand-off and start", "the same: the claim and its slots exist from admission on"),
    3: Fault(
        "worker killed after a run's side effect, before its end is told",
        "executed again: same run id, greater claim token, one crash charged; fence side effects by these",
    ),
    4: Fault(
        "worker frozen beyond its lease, then let go on",
        "its runs are taken back once; what it says late changes nothing; it joins again under a new id",
    ),
    5: Fault(
        "event loop blocked by a run's code",
        "heartbeats come from a thread of their own, the lease holds; a run that hangs is ended by its timeout",
    ),
    6: Fault(
        "SIGTERM",
        "no new runs; what has not begun goes back, what still runs after the grace too, uncharged; exit code 0",
    ),
    7: Fault("a second signal", "everything is handed back at once, the process ends"),
    8: Fault("a host with twenty workers lost", "all runs come back within a lease and start on other hosts"),
    9: Fault(
        "worker cut off from Redis",
        "shorter than the lease: nothing; longer: it stops its runs by its own clock before others may start them",
    ),
    10: Fault(
        "commands or replies lost on the way",
        "what is said twice is done once; the next turn repeats what was handed off and not seen",
    ),
    11: Fault("network slow by half a second, unevenly", "slower; no lease ends that should not"),
    12: Fault(
        "Redis restarted with its append-only file",
        "runs go on, ends wait and are handed in; leases get a grace; all consume again within seconds",
    ),
    13: Fault(
        "Redis away for longer than a lease",
        "a worker stops its runs when it can no longer trust its lease and is red; back, nothing is reclaimed: "
        "stopped runs begin again uncharged, ends that waited count",
    ),
    14: Fault(
        "Redis killed in the middle of a script", "a script is all or nothing, wherever the append-only file was cut"
    ),
    15: Fault(
        "power loss",
        "with `appendfsync always` nothing that was acknowledged is lost, with everysec up to two seconds of it",
    ),
    16: Fault(
        "Sentinel failover",
        "clients find the new master by themselves; what was not replicated is lost unless `replicated` was asked",
    ),
    17: Fault("split brain", "a publish that wants replicas raises on the side without them; nobody is told a lie"),
    18: Fault(
        "records lost after a failover, or removed",
        "a worker that ends a run nobody knows is fenced and goes on; the loss is said: `state.lost`",
    ),
    19: Fault("scripts flushed", "sent again with their text, in the same call"),
    20: Fault(
        "everything flushed, or Redis back empty",
        "an alarm, `state.lost`, names the runs; workers wait for their pool, then join; who waits is told",
    ),
    21: Fault("Redis busy with somebody's slow script", "calls wait or are repeated; afterwards nobody is reclaimed"),
    22: Fault(
        "Redis full (maxmemory)",
        "publish is refused whole; turns, ends and reclaim go on, so the queue drains; it recovers",
    ),
    23: Fault(
        "disk full",
        "writes are refused and say so; workers keep their ends, are red although Redis answers, then go on",
    ),
    24: Fault(
        "clock of the Redis host jumps an hour",
        "nobody is reclaimed, no schedule fires twice; set back, schedules wait until the time they had reached",
    ),
    25: Fault(
        "clock of a worker's or scheduler's host is wrong",
        "no effect: the server's clock decides, local ones only measure",
    ),
    26: Fault("the same publish twice", "one run; the second call gets the same id and `is_new=False`"),
    27: Fault("several schedulers", "each instant of each schedule fires once; nobody leads"),
    28: Fault("schedulers down for hours", "what was missed is handled by the schedule's policy, bounded"),
    29: Fault(
        "daylight saving, changed zones, leap days",
        "wall-clock schedules fire once a day, intervals count elapsed time",
    ),
    30: Fault("a service killed between any two of its calls", "the next one goes on; nothing is half done"),
    31: Fault("several dispatchers", "everything they do may be done by several at once; limits hold"),
    32: Fault(
        "limits lowered and raised, queues paused, while busy",
        "nobody is killed; nothing is admitted above the present limit",
    ),
    33: Fault(
        "a pool or queue deleted with runs inside",
        "refused; a queue's runs are cancelled with a reason when that is asked for",
    ),
    34: Fault(
        "a run that kills its worker each time",
        "executed in a child process from its second time on; a dead letter at the crash budget; others are cleared",
    ),
    35: Fault("a run that cannot be read", "it ends as failed with the reason; its worker goes on"),
    36: Fault("payload bombs", "refused by size before anything is decoded, then by depth and by length"),
    37: Fault(
        "code that raises SystemExit, runs out of memory, crashes the interpreter or forks",
        "recorded as what it is; the slot is free again; the worker goes on or its child is replaced",
    ),
    38: Fault("a container killed for want of memory", "crashed, reason `out_of_memory`"),
    39: Fault(
        "a container without its worker", "another worker adopts it, or ends it before the run starts again; never two"
    ),
    40: Fault(
        "Docker daemon restarted or away", "runs wait, go back uncharged or come back; the worker is red meanwhile"
    ),
    41: Fault(
        "a million queued runs", "publish and turns take as long as before; memory grows by some hundred bytes a run"
    ),
    42: Fault(
        "a hot queue beside a quiet one",
        "queues of one priority take turns; a better one goes first without bound, `start_within` counts who is late",
    ),
    43: Fault("100,000 runs lost at once", "taken back 64 a call"),
    44: Fault("a half-open connection", "given up after seconds; nothing that was sent into it is lost"),
    45: Fault("thousands of workers that never came back", "each goes with its lease and leaves no key"),
    46: Fault(
        "two releases side by side",
        "scripts are called by their own hash; records keep what an older release does not know",
    ),
    47: Fault(
        "keys of a wrong type",
        "the call fails with WRONGTYPE, what it wrote before may stay; services and other pools go on",
    ),
    48: Fault("a cancel that races with the end, or with a reclaim", "one terminal state: whoever is first in Redis"),
    49: Fault("result or log of a claim that is over", "refused, counted; it overwrites nothing"),
    50: Fault("a stolen credential", "a publisher's user reaches its own stream and nothing else"),
    51: Fault("hostile text in logs and labels", "one line of JSON an event; queues beyond 500 are counted as `other`"),
    52: Fault("a scrape while Redis is away", "answered, `sluice_redis_up 0`, and nothing is claimed"),
}

OPEN: dict[int, str] = {}
"""Faults that no test shows yet, and why."""
