"""Each service dies before and after each of its calls to Redis, by SIGKILL; others come, and nothing is wrong."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
import redis

from dispatcher import scripts
from tests.support.processes import Children
from tests.support.servers import Server

from .harness import SCENARIOS, Death, Forker, Point

AT_ONCE = 8
MOST = {
    "tick": 4,
    "turn": 5,
    "publish": 3,
    "fire": 1,
    "stuck": 1,
    "XREAD": 1,
    "audit": 1,
    "verify": 1,
    "HGETALL": 1,
    "ZSCORE": 1,
    "HGET": 1,
    "ZCARD": 1,
    "HVALS": 1,
    "HMGET": 1,
}
"""How many calls of one kind are points; of others two, for what is said again and again is the same each time."""
COVERED = {
    "worker": {
        "join", "turn", "heartbeat", "log", "progress", "publish", "wait", "suspend", "resume", "abroad", "leave",
    },
    "boxes": {"turn", "start", "leave"},
    "stuck": {"stuck"},
    "dispatcher": {"tick", "retain", "intake", "audit", "verify"},
    "scheduler": {"promote", "agenda", "fire"},
    "client": {
        "pool", "queue", "limit", "publish", "cancel", "wait", "deploy", "move", "undeploy", "publisher", "snapshot",
        "delete_queue", "delete_pool",
    },
    "terminal": {"cancel", "drain", "putback", "sweep", "publish", "mark"},
}  # fmt: skip


@pytest.fixture
def forker(tmp_path: Path) -> Iterator[Forker]:
    with Children(tmp_path) as children:
        yield Forker(children, tmp_path)


@pytest.fixture
def databases(new_server: Callable[..., Server]) -> Iterator[str]:
    """Addresses of empty databases of one server."""
    server = new_server("valkey", settings={"databases": "1024"})
    with redis.Redis.from_url(server.url) as connection:
        for name in scripts.names():  # else the first one to call a script says it twice, and nobody else
            connection.script_load(scripts.load(name).text)
    return (server.url.removesuffix("0") + str(number) for number in itertools.count())


def points_of(calls: list[str], at: frozenset[str]) -> list[Point]:
    """Where a service can die that makes these calls."""
    counts = Counter(calls)
    return [
        Point(name, nth, after)
        for name, count in counts.items()
        if name in at or not at
        for nth in range(1, min(count, MOST.get(name, 2)) + 1)
        for after in (False, True)
    ]


def is_certain(scenario: str, point: Point) -> bool:
    """Whether each life comes there. What else it calls, and how often, is a matter of who came first: a sweep, say."""
    return point.name in COVERED[scenario] and point.nth == 1


@pytest.mark.slow
@pytest.mark.fault(30)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", list(SCENARIOS))
async def test_a_service_may_die_at_any_of_its_calls(forker: Forker, databases: Iterator[str], name: str) -> None:
    whole = Death(forker, SCENARIOS[name], next(databases), None)
    assert await whole.happen() == [], "without any death"
    assert COVERED[name] <= set(whole.reaper.calls), "the scenario does not do what it is for"
    points, limiter = points_of(whole.reaper.calls, SCENARIOS[name].at), anyio.CapacityLimiter(AT_ONCE)
    faults: dict[str, list[str]] = {}
    missed: list[Point] = []

    async def die(point: Point) -> None:
        async with limiter:
            death = Death(forker, SCENARIOS[name], next(databases), point)
            try:
                found = await death.happen()
            except AssertionError as error:
                found = [str(error), *await death.runs()]
            if found and not (death.reaper.has_killed or is_certain(name, point)):
                missed.append(point)
            elif found:
                faults[str(point)] = found

    async with anyio.create_task_group() as group:
        for point in points:
            group.start_soon(die, point)
    print(f"\n{name}: {len(points)} points, {len(missed)} of them missed, {len(faults)} with a fault", flush=True)
    assert not faults, "\n".join(f"{point}: {'; '.join(found)}" for point, found in faults.items())
    assert len(missed) <= len(points) / 10, f"lives are too different: {missed}"


def test_every_script_is_called_by_a_service_that_dies_at_it() -> None:
    for name, scenario in SCENARIOS.items():
        assert scenario.at <= COVERED[name], f"{name} is to die at what it may never call"
    assert sorted(set().union(*COVERED.values())) == scripts.names()
