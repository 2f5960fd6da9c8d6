"""A worker from join to leave: what it takes, what it shares, how it drains, and how it comes back."""

import time
from collections import Counter
from typing import Any

import anyio
import pytest
import redis

from dispatcher import Client, InvalidInput, PoolNotFound, RunState, scripts
from dispatcher.errors import TooManyLanes, WorkerTypeMismatch
from tests.support.processes import Children
from tests.support.proxy import FaultProxy
from tests.support.stack import LEASE, Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness
from workers import Functions, FunctionWorker, Outcome, Worker, WorkerOptions, WorkerType
from workers.worker import run_worker


class Place:
    """Functions that note where they ran, and may be held."""

    def __init__(self) -> None:
        self.functions, self.gate = Functions(), anyio.Event()
        self.ran: list[str] = []
        self.functions.register(self.note)
        self.functions.register(self.hold)

    async def note(self, what: str) -> None:
        self.ran.append(what)

    async def hold(self) -> str:
        self.ran.append("hold")
        await self.gate.wait()
        return "held"


async def state(client: Client, run: object) -> RunState:
    return (await client.get(run)).state


FILTERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "everything": ({}, {"default", "etl-1", "etl-2", "web"}),
    "a queue": ({"queues": ("web",)}, {"web"}),
    "two queues": ({"queues": ("web", "etl-1")}, {"web", "etl-1"}),
    "a prefix": ({"match": ("etl-*",)}, {"etl-1", "etl-2"}),
    "a prefix and a queue": ({"match": ("etl-",), "queues": ("default",)}, {"default", "etl-1", "etl-2"}),
    "a label": ({"labels": ("gpu",)}, {"default", "etl-1", "etl-2", "web", "gpu"}),
    "labels": ({"labels": ("gpu", "zone=a")}, {"default", "etl-1", "etl-2", "web", "gpu", "gpu in a"}),
    "only labelled": ({"labels": ("gpu", "zone=a"), "only_labelled": True}, {"gpu", "gpu in a"}),
    "only labelled without labels": ({"only_labelled": True}, set()),
    "another value": ({"labels": ("gpu", "zone=b")}, {"default", "etl-1", "etl-2", "web", "gpu"}),
    "a queue and a label": ({"labels": ("gpu",), "queues": ("web",)}, {"web"}),
}


@pytest.mark.parametrize("first", ["runs", "worker"])
@pytest.mark.parametrize("case", FILTERS)
async def test_a_worker_takes_what_it_may_and_nothing_else(stack: Stack, case: str, first: str) -> None:
    options, expected = FILTERS[case]
    place = Place()
    if first == "worker":
        await stack.worker(place.functions, **options)
    for queue in ("default", "etl-1", "etl-2", "web"):
        await stack.client.publish("note", {"what": queue}, queue=queue)
    await stack.client.publish("note", {"what": "gpu"}, labels=["gpu"])
    await stack.client.publish("note", {"what": "gpu in a"}, labels=["zone=a", "gpu"])
    await stack.client.publish("note", {"what": "never"}, labels=["gpu", "huge"])
    if first == "runs":
        await stack.worker(place.functions, **options)
    await wait_until(lambda: set(place.ran) == expected, description="the worker has run what it may")

    async def counts() -> bool:
        pool = await stack.client.pools.get("default")
        return (pool.queued, pool.running) == (7 - len(expected), 0)

    await wait_until(counts, description="their ends were handed in, the others wait")
    assert len(place.ran) == len(expected)


async def test_two_workers_share_the_work(stack: Stack) -> None:
    places = [Place(), Place()]
    workers = [await stack.worker(place.functions, limit=5, name=f"w{n}") for n, place in enumerate(places)]
    runs = await stack.client.publish_many(["hold"] * 15)
    await wait_until(lambda: [len(place.ran) for place in places] == [5, 5], description="both are full")
    held = Counter([slot.worker for slot in await stack.client.pools.slots("default")])
    assert held == {worker.id: 5 for worker in workers}
    for place in places:
        place.gate.set()
    await stack.completed(runs)
    stack.ended_once(runs)


async def test_a_worker_holds_no_more_than_its_limit(stack: Stack) -> None:
    place = Place()
    await stack.worker(place.functions, limit=3)
    runs = await stack.client.publish_many(["hold"] * 10)
    await wait_until(lambda: len(place.ran) == 3, description="it is full")
    assert (await stack.client.pools.get("default")).queued == 7
    place.gate.set()
    await stack.completed(runs)


async def test_draining_finishes_what_is_in_hand_and_takes_no_more(stack: Stack) -> None:
    place = Place()
    worker = await stack.worker(place.functions, limit=2)
    runs = await stack.client.publish_many(["hold"] * 3)
    await wait_until(lambda: len(place.ran) == 2, description="it is full")
    await stack.client.workers.drain(worker.id)

    async def is_draining() -> bool:
        return (await stack.client.workers.get(worker.id)).state == "draining"

    await wait_until(is_draining, description="the worker drains")
    place.gate.set()
    await wait_until(lambda: nobody(stack.client), description="the worker has left")
    states = Counter([await state(stack.client, run) for run in runs])
    assert states == {RunState.COMPLETED: 2, RunState.QUEUED: 1}
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.keys(f"*{worker.id}*") == []


async def nobody(client: Client) -> bool:
    return not await client.workers.list()


async def test_an_idle_worker_drains_at_once(stack: Stack) -> None:
    place = Place()
    worker = await stack.worker(place.functions)
    began = time.monotonic()
    worker.drain()
    await wait_until(lambda: nobody(stack.client), description="the worker has left")
    assert time.monotonic() - began < 1


async def test_a_worker_that_is_cancelled_hands_back_what_it_holds_uncharged(stack: Stack) -> None:
    place, later = Place(), Place()
    worker = Worker(stack.url, FunctionWorker(place.functions), WorkerOptions(lease=LEASE))
    async with anyio.create_task_group() as group:

        async def work() -> None:
            async with worker:
                await run_worker(worker, anyio.Event())

        group.start_soon(work)
        runs = await stack.client.publish_many(["hold"] * 80)
        await wait_until(lambda: len(place.ran) == 80, description="it runs them")
        group.cancel_scope.cancel()
    assert await stack.client.workers.list() == []
    found = [await stack.client.get(run) for run in runs]
    assert {(run.state, run.crashes, run.worker) for run in found} == {(RunState.QUEUED, 0, "")}
    later.gate.set()
    await stack.worker(later.functions)
    await stack.completed(runs)


async def test_run_once_takes_what_is_there_once(stack: Stack) -> None:
    place = Place()
    runs = [await stack.client.publish("note", {"what": str(n)}) for n in range(5)]
    for expected in (["0", "1"], ["0", "1", "2", "3"], ["0", "1", "2", "3", "4"], ["0", "1", "2", "3", "4"]):
        options = WorkerOptions(run_once=True, limit=2, lease=LEASE)
        async with Worker(stack.url, FunctionWorker(place.functions), options) as worker:
            with anyio.fail_after(5):
                await worker.run()
        assert sorted(place.ran) == expected
        assert await stack.client.workers.list() == []
    await stack.completed(runs)


async def test_a_worker_is_an_object(stack: Stack) -> None:
    """`async with Worker(...) as worker: await worker.run()`, with what it did and whether it is live."""
    place = Place()
    worker = Worker(stack.url, FunctionWorker(place.functions), WorkerOptions(name="mine", lease=LEASE))
    assert not worker.is_live
    async with worker, anyio.create_task_group() as group:
        group.start_soon(worker.run)
        published = await stack.client.publish("note", {"what": "it"})
        await stack.client.result(published, timeout=5)
        assert worker.is_live
        assert worker.id.startswith("mine-")
        worker.drain()
    assert worker.executed == 1
    assert place.ran == ["it"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"limit": 0}, "no worker limit"),
        ({"limit": 10_001}, "no worker limit"),
        ({"lease": 0.1}, "no lease"),
        ({"lease": 4000}, "no lease"),
        ({"name": "a b"}, "no worker name"),
        ({"pool": "a b"}, "no pool name"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        WorkerOptions(**options)


@pytest.mark.parametrize(
    "options", [{"queues": ("a b",)}, {"match": ("*",)}, {"labels": ("a,b",)}, {"queues": ("a|b",)}]
)
async def test_a_bad_filter_is_refused_and_nothing_joins(stack: Stack, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        async with Worker(stack.url, FunctionWorker(Functions()), WorkerOptions(**options)) as worker:
            await worker.run()
    assert await stack.client.workers.list() == []


class Other(WorkerType):
    type = "other"

    async def watch(self, run: object, infrastructure: str) -> Outcome:
        return Outcome("completed")


async def join(stack: Stack, kind: WorkerType, **options: Any) -> None:
    async with Worker(stack.url, kind, WorkerOptions(lease=LEASE, **options)) as worker:
        with anyio.fail_after(5):
            await worker.run()


async def test_a_worker_that_does_not_fit_its_pool_is_refused(stack: Stack) -> None:
    with pytest.raises(WorkerTypeMismatch, match="of type 'function', this worker of type 'other'"):
        await join(stack, Other())
    with pytest.raises(PoolNotFound):
        await join(stack, Other(), pool="nowhere")
    assert await stack.client.workers.list() == []


async def test_a_pool_has_64_lanes_at_most(stack: Stack) -> None:
    with redis.Redis.from_url(stack.url) as connection:
        connection.sadd("sluice:{default}:lanes", *(f"q{n}||" for n in range(64)))
    with pytest.raises(TooManyLanes, match="64 distinct worker filters"):
        await join(stack, FunctionWorker(Functions()), queues=("one-more",))


async def test_a_cancel_that_comes_with_the_run_ends_it(stack: Stack) -> None:
    """The turn's reply is lost; the next one holds both the hand-off and the order to cancel it."""
    place = Place()
    async with FaultProxy(stack.url) as proxy:
        worker = await stack.worker(place.functions, url=proxy.url, limit=1)
        await stack.client.publish("hold")
        await wait_until(lambda: place.ran, description="the first one runs")
        run = await stack.client.publish("hold")
        await anyio.wait_all_tasks_blocked()  # the turn after the push is under way or over
        await stack.client.pools.get("default")
        fault = proxy.lose_reply(scripts.load("turn").sha.encode())
        place.gate.set()  # the turn that ends the first one is given the second one
        await wait_until(fault.happened.is_set, description="its reply is lost", interval=0.001)
        await stack.client.cancel(run)

        async def is_over() -> bool:
            return (await state(stack.client, run)).is_terminal

        await wait_until(is_over, description="the run is over")
        worker.drain()
        await wait_until(lambda: nobody(stack.client), description="the worker has left")


@pytest.mark.fault(5)
async def test_a_blocked_loop_does_not_cost_the_lease(stack: Stack, children: Children, witness: Witness) -> None:
    await stack.dispatcher()
    await stack.worker_process(children, witness)
    (before,) = await stack.client.workers.list()
    run = await stack.client.publish("block_the_loop", {"name": "blocker", "seconds": 2 * LEASE})
    await stack.completed([run])
    found = await stack.client.get(run)
    assert (found.attempt, found.crashes, found.worker) == (1, 0, before.id)
    witness.exactly_once({"blocker"})
    (after,) = await stack.client.workers.list()
    assert after.id == before.id


async def test_a_worker_that_lost_its_lease_joins_again(stack: Stack) -> None:
    place = Place()
    await stack.dispatcher()
    async with FaultProxy(stack.url) as proxy:
        worker = await stack.worker(place.functions, url=proxy.url)
        first_id = worker.id
        run = await stack.client.publish("hold")
        await wait_until(lambda: place.ran, description="it runs")
        proxy.black_hole()
        await wait_until(lambda: not worker.is_live, description="the worker distrusts its lease")
        await wait_until(lambda: nobody(stack.client), description="the worker is given up")
        assert await state(stack.client, run) is RunState.QUEUED
        place.gate.set()
        proxy.restore()
        await stack.completed([run])
        assert worker.is_live
        assert worker.id != first_id
        found = await stack.client.get(run)
        assert (found.crashes, found.worker) == (1, worker.id)
        stack.ended_once([run])
        worker.drain()
        await wait_until(lambda: nobody(stack.client), description="the worker has left")
