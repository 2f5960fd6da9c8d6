"""What each service is made to do, how it begins, when it is done, and what must be there at the end."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis.asyncio as aredis

from dispatcher import Client, Publish
from dispatcher.store import Joining, Store

from .boxes import opened_twice
from .functions import IDS

STREAM = "sluice:{default}:publish"
REJECTED = "sluice:{default}:rejected"
CRASHES = 50
"""On a machine that is too busy for leases of 2 s, runs are lost more often than by the one death."""


@dataclass(frozen=True)
class Scenario:
    """One service's. `keepers`: a dispatcher and a scheduler are there all the time; `errand`: it ends by itself.

    `begun` prepares the server; `is_done` tells when it did all that it is made to do, and is asked all the time.
    `states` are those in which its runs must end, `faults` tells what else is wrong then. `healers` come when it died.
    It dies at calls `at` these names, at all of them when there are none.
    """

    victim: str
    begun: Callable[[str], Awaitable[None]]
    is_done: Callable[[str], Awaitable[bool]]
    states: dict[str, str]
    keepers: str = ""
    errand: bool = False
    healers: str = "everybody"
    at: frozenset[str] = frozenset()
    faults: Callable[[str], Awaitable[list[str]]] | None = None


async def _runs(url: str, ids: tuple[str, ...]) -> dict[str, str]:
    async with Store(url) as store:
        return {run.id: run.state.value for run in await store.runs.get_many("default", ids)}


# A worker: runs that end, fail, are tried again, wait for a child, write their log, are cancelled.


async def _work_begins(url: str) -> None:
    async with Client(url) as client:
        await client.pools.create("default", limit=3, crashes=CRASHES)
        await client.pools.create("other")
        await client.limits.set("tenant:*", 1)
        await client.publish_many(
            [
                Publish("parent", None, {"run_id": IDS[0]}),
                Publish("chatty", None, {"run_id": IDS[1]}),
                Publish("flaky", None, {"run_id": IDS[2], "retries": 1}),
                *(Publish("quick", None, {"run_id": run_id, "keys": ("tenant:1",)}) for run_id in IDS[3:5]),
                Publish("quick", None, {"run_id": IDS[5], "delay": 0.3}),
                Publish("endless", None, {"run_id": IDS[6]}),
            ]
        )


async def _work_is_done(url: str) -> bool:
    states = await _runs(url, tuple(WORKED))
    if states.get(IDS[6]) == "running":
        async with Client(url) as client:
            await client.cancel(IDS[6])
    return states == WORKED


async def _abroad(url: str) -> list[str]:
    async with Client(url) as client:
        found = [f"{run.id} {run.state}" for run in await client.list(pool="other")]
    return [] if found == [f"{IDS[7]} scheduled"] else [f"in the other pool: {found}"]


WORKED = {
    IDS[0]: "completed",
    IDS[1]: "completed",
    IDS[2]: "failed",
    IDS[3]: "completed",
    IDS[4]: "completed",
    IDS[5]: "completed",
    IDS[6]: "cancelled",
}


# A worker whose infrastructure lives on: runs that are prepared, started, cancelled, left to be adopted.


async def _boxes_begin(url: str) -> None:
    async with Client(url) as client:
        await client.pools.create("default", type="boxes", limit=3, crashes=CRASHES)
        await client.publish_many(
            [
                Publish("box", {"seconds": 0.3}, {"run_id": IDS[0]}),
                Publish("box", {"seconds": 1.5}, {"run_id": IDS[1]}),
                Publish("box", {"seconds": 600}, {"run_id": IDS[2]}),
                Publish("box", {"seconds": 0.2}, {"run_id": IDS[3], "delay": 1.2}),
            ]
        )


async def _boxes_are_left(url: str) -> bool:
    """One of them goes on, where that is not over already."""
    states = await _runs(url, tuple(BOXED))
    if states.get(IDS[2]) == "running":
        async with Client(url) as client:
            await client.cancel(IDS[2])
    is_left = states.get(IDS[1]) in {"running", "completed"}
    return is_left and all(states.get(run_id) == BOXED[run_id] for run_id in (IDS[0], IDS[2]))


BOXED = {IDS[0]: "completed", IDS[1]: "completed", IDS[2]: "cancelled", IDS[3]: "completed"}


# A worker with runs that cannot be ended, one of which is to be tried again.


async def _deafness_begins(url: str) -> None:
    async with Client(url) as client:
        await client.pools.create("default", limit=3, crashes=CRASHES)
        await client.publish_many(
            [
                Publish("stubborn", None, {"run_id": IDS[0], "timeout": 0.3}),
                Publish("stubborn", None, {"run_id": IDS[1], "timeout": 0.3, "retries": 1}),
                Publish("quick", None, {"run_id": IDS[2]}),
            ]
        )


DEAF = {IDS[0]: "failed", IDS[1]: "failed", IDS[2]: "completed"}


# A dispatcher: a worker that is lost with its runs, one that does not answer a push, entries of intake.


async def _care_begins(url: str) -> None:
    async with Client(url) as client, Store(url) as store, aredis.Redis.from_url(url) as plain:
        await client.pools.create("default", limit=4, crashes=CRASHES)
        await client.publish_many([Publish("quick", None, {"run_id": run_id}) for run_id in IDS[:2]])
        await store.workers.join("default", _joining("lost-1", 2, 400))
        await store.workers.turn("default", "lost-1", 0, offer=True, ends=[])
        await store.workers.join("default", _joining("silent-1", 1, 1500))
        await store.workers.turn("default", "silent-1", 0, offer=True, ends=[])
        await client.publish("quick", run_id=IDS[2])
        for number in (3, 4):
            await plain.xadd(STREAM, {"run": f'{{"function": "quick", "id": "{IDS[number]}"}}'})
        await plain.xadd(STREAM, {"run": "no run at all"})


def _joining(name: str, capacity: int, lease_ms: int) -> Joining:
    return Joining(name, "||", capacity, lease_ms, "function", auto_start=True, info={})


async def _care_is_done(url: str) -> bool:
    async with Store(url) as store, aredis.Redis.from_url(url) as plain:
        found = {run.id: run for run in await store.runs.get_many("default", CARED)}
        left = await plain.exists("sluice:{default}:workers", "sluice:{default}:lost") or await plain.xlen(STREAM)
    return set(found) == set(CARED) and {run.state.value for run in found.values()} == {"queued"} and not left


CARED = dict.fromkeys(IDS[:5], "completed")


# A scheduler: runs for later, one that expires, schedules that fire.


async def _time_begins(url: str) -> None:
    async with Client(url) as client:
        await client.pools.create("default", limit=2, crashes=CRASHES)
        await client.publish_many(
            [
                Publish("quick", None, {"run_id": IDS[0], "delay": 0.4}),
                Publish("quick", None, {"run_id": IDS[1], "delay": 2.5}),
                Publish("quick", None, {"run_id": IDS[2], "expires": 0.2, "queue": "shut"}),
            ]
        )
        await client.queues.pause("shut")
        soon = datetime.now(UTC) + timedelta(seconds=0.6)
        times = {f"s{number}": soon + timedelta(seconds=3 * number) for number in range(2)}
        schedules = [{"id": name, "at": at.isoformat(), "misfire": "latest"} for name, at in times.items()]
        await client.deploy("clock", function="quick", schedules=schedules)


async def _time_is_over(url: str) -> bool:
    async with aredis.Redis.from_url(url) as plain:
        waits = await plain.exists("sluice:{default}:due", "sluice:{default}:schedules")
        return not waits and await fired(plain) == 2


async def fired(plain: Any) -> int:
    """How many runs the schedules have."""
    rows = [await plain.hget(f"sluice:{{default}}:schedule:clock/s{number}", "fired") for number in range(2)]
    return sum(int(row or 0) for row in rows)


# A client's errand; its pool is there before, for the worker beside it refuses to begin without one.


async def _errand_begins(url: str) -> None:
    async with Client(url) as client:
        await client.pools.create("default", crashes=CRASHES)


async def _never(url: str) -> bool:
    return False


# Somebody at a terminal: entries that were rejected, runs with many children, a disk to be waited for.


async def _evening_begins(url: str) -> None:
    run = json.dumps({"function": "quick", "id": IDS[0]})
    async with Client(url) as client, aredis.Redis.from_url(url) as plain:
        await plain.config_set("appendonly", "yes", "appendfsync", "always", "no-appendfsync-on-rewrite", "no")
        await client.pools.create("default", crashes=CRASHES)
        await client.queues.create("shut")
        await client.queues.pause("shut")
        await client.publish("quick", run_id=IDS[1], queue="shut")
        await client.publish_many(
            [Publish("quick", None, {"run_id": kin, "queue": "shut", "parent": IDS[1]}) for kin in KIN]
        )
        await plain.xadd(REJECTED, {
            "stream": "publish", "entry": "1-0", "reason": "an older release knew less", "size": len(run),
            "format": "run", "reply": "", "head": run,
        })  # fmt: skip
        await plain.xadd(STREAM, {"run": "no run at all"})


KIN = tuple(f"kin-{number:028d}" for number in range(70))
"""More than one call cancels."""


TIMED = {IDS[0]: "completed", IDS[1]: "completed", IDS[2]: "expired"}
SEEN_TO = {IDS[0]: "completed", IDS[2]: "completed", **dict.fromkeys((IDS[1], *KIN), "cancelled")}
RAN = {**dict.fromkeys((*IDS[:4], IDS[5]), "completed"), IDS[4]: "cancelled"}

SCENARIOS = {
    "worker": Scenario("worker", _work_begins, _work_is_done, WORKED, keepers="keepers", faults=_abroad),
    "boxes": Scenario(
        "boxes", _boxes_begin, _boxes_are_left, BOXED, keepers="keepers", healers="everybody with boxes",
        at=frozenset({"turn", "start", "leave"}), faults=opened_twice,
    ),
    "stuck": Scenario(
        "stuck", _deafness_begins, _never, DEAF, keepers="keepers", at=frozenset({"stuck"}),
    ),
    "dispatcher": Scenario("dispatcher", _care_begins, _care_is_done, CARED),
    "scheduler": Scenario("scheduler", _time_begins, _time_is_over, TIMED),
    "client": Scenario("client", _errand_begins, _never, RAN, keepers="everybody", errand=True),
    "terminal": Scenario(
        "terminal", _evening_begins, _never, SEEN_TO, keepers="everybody", errand=True,
        at=frozenset({"drain", "putback", "sweep", "mark"}),
    ),
}  # fmt: skip
