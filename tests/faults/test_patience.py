"""A worker in the middle of something while Redis is away: what it needs from there comes later, and fails no run."""

from collections.abc import Iterator

import pytest
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dispatcher import RunState, context
from tests.support.proxy import FaultProxy
from tests.support.stack import Stack
from tests.support.waiting import let_pass, wait_until
from workers import Functions, Worker
from workers.contract import Outcome
from workers.hands import BYTES_A_TURN, ENDS_A_TURN, Hands
from workers.holding import END_WIDTH

LEASE = 6.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections give up after one retry: what is patient is the worker."""
    monkeypatch.setattr("dispatcher.store.connection._patient", lambda: Retry(NoBackoff(), 1))


@pytest.mark.fault(12)
async def test_a_run_too_large_to_be_handed_off_is_read_when_the_server_is_back(stack: Stack) -> None:
    functions = Functions()

    @functions.register
    async def size(text: str) -> int:
        return len(text)

    async with FaultProxy(stack.url) as proxy:
        lost = [proxy.lose_reply(b"$3\r\nGET\r\n", nth) for nth in (1, 2, 3)]
        worker = await stack.worker(functions, url=proxy.url, lease=LEASE)
        run = await stack.client.publish("size", {"text": "x" * 100_000})
        assert await stack.client.result(run, timeout=20) == 100_000
        assert all(fault.happened.is_set() for fault in lost)
        assert (await stack.client.get(run)).crashes == 0
        await leave(stack, worker)


@pytest.mark.fault(12)
async def test_a_run_that_publishes_and_waits_while_redis_is_away_goes_on_afterwards(stack: Stack) -> None:
    functions = Functions()
    stage: list[str] = []

    @functions.register
    async def parent() -> int:
        stage.append("ready")
        await wait_until(lambda: "away" in stage, description="Redis is away")
        child = await context.publish("child")
        stage.append("published")
        await wait_until(lambda: "away again" in stage, description="Redis is away again")
        return int(await context.result(child))

    @functions.register
    async def child() -> int:
        return 7

    async with FaultProxy(stack.url) as proxy:
        worker = await stack.worker(functions, url=proxy.url, lease=LEASE)
        run = await stack.client.publish("parent")
        for before, after in (("ready", "away"), ("published", "away again")):
            await wait_until(lambda before=before: before in stage, description=before)
            proxy.refuse()
            stage.append(after)
            await let_pass(1.0)
            assert worker.is_live, "within the lease"
            proxy.restore()
        assert await stack.client.result(run, timeout=20) == 7
        assert (await stack.client.get(run)).state is RunState.COMPLETED
        await leave(stack, worker)


async def leave(stack: Stack, worker: Worker) -> None:
    """While there is still a way to the server."""
    worker.drain()

    async def is_gone() -> bool:
        return not await stack.client.workers.list()

    await wait_until(is_gone, description="the worker has left")


def ends_of(sizes: list[int]) -> Iterator[list[int]]:
    """How many bytes of results each turn takes, of ends that waited with results of these sizes."""
    hands = Hands(lambda: None, live_on=False)
    for number, size in enumerate(sizes):
        hands._ends += (f"r{number}", "1", *Outcome("completed", "", bytes(size)))
    while hands.ends_waiting:
        taken = hands.take_ends()
        assert taken
        yield [len(result) for result in taken[END_WIDTH - 1 :: END_WIDTH]]


def test_ends_that_waited_are_handed_in_by_turns_of_bounded_size() -> None:
    assert [len(turn) for turn in ends_of([1] * (2 * ENDS_A_TURN + 1))] == [ENDS_A_TURN, ENDS_A_TURN, 1]
    third = BYTES_A_TURN // 3
    assert list(ends_of([third] * 7)) == [[third] * 3, [third] * 3, [third]]
    assert list(ends_of([2 * BYTES_A_TURN, 1])) == [[2 * BYTES_A_TURN], [1]]
