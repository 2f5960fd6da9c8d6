"""The run context in functions: what it knows, says and asks; children, waiting for them, and limits of one."""

import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from dispatcher import ClaimLost, Client, InvalidInput, NoRun, ResultTimeout, RunFailed, RunState, context
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers import Functions, Worker

functions = Functions()
GATES: dict[str, threading.Event] = {}


@functions.register
async def facts() -> dict[str, Any]:
    return {
        "run_id": context.run_id, "token": context.claim_token, "attempt": context.attempt,
        "parameters": dict(context.parameters), "deadline": context.deadline, "cancelled": context.is_cancelled,
    }  # fmt: skip


@functions.register
def facts_in_thread(word: str) -> dict[str, Any]:
    return {
        "run_id": context.run_id,
        "parameters": dict(context.parameters),
        "deadline": context.deadline,
        "word": word,
    }


@functions.register
async def leaf(number: int) -> int:
    return number * number


@functions.register
async def fails() -> None:
    raise ValueError("no such luck")


@functions.register
async def parent_of(numbers: list[int]) -> int:
    return sum(await context.map("leaf", [{"number": number} for number in numbers]))


@functions.register
def blocking_parent_of(numbers: list[int]) -> int:
    runs = [context.blocking.publish("leaf", {"number": number}) for number in numbers]
    return sum(context.blocking.result(run) for run in runs)


@functions.register
async def descends(depth: int) -> int:
    if depth == 0:
        return 0
    return 1 + int(await context.result(await context.publish("descends", {"depth": depth - 1})))


@functions.register
async def waits_for(run: str, timeout: float | None = None, keep_slots: bool = False) -> Any:
    try:
        return await context.result(run, timeout, keep_slots=keep_slots)
    except (RunFailed, ResultTimeout) as error:
        return f"{type(error).__name__}: {error}"


@functions.register
def passes_gate(name: str) -> str:
    GATES[name].wait(30)
    return name


@functions.register
async def says(share: float, text: str, gate: str) -> None:
    context.progress(share, text)
    context.logger.warning("half way", done=3)
    await anyio.to_thread.run_sync(GATES[gate].wait, 30)


@functions.register
async def publishes_forever(path: str) -> None:
    """Goes on after it was cancelled, and tries to publish then."""
    Path(path).write_text("began")
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await context.publish("leaf", {"number": 1})
                Path(path).write_text("published")
            except ClaimLost:
                Path(path).write_text("refused")


@pytest.fixture
def gate() -> Callable[[], str]:
    def make() -> str:
        name = f"gate-{len(GATES)}"
        GATES[name] = threading.Event()
        return name

    yield make
    for event in GATES.values():
        event.set()


@pytest.fixture
async def worker(stack: Stack) -> AsyncIterator[Worker]:
    return await stack.worker(functions, limit=4)


@pytest.fixture
def client(stack: Stack) -> Client:
    return stack.client


async def test_a_function_knows_its_run(client: Client, worker: Worker):
    run = await client.publish("facts", timeout=60)
    result = await client.result(run, 10)
    known = await client.get(run)
    assert result["run_id"] == run.id
    assert result["token"] == known.claim_token
    assert (result["attempt"], result["parameters"], result["cancelled"]) == (1, {}, False)
    assert result["deadline"].startswith("20")


async def test_a_plain_function_knows_its_run_too(client: Client, worker: Worker):
    runs = [await client.publish("facts_in_thread", {"word": word}) for word in "abcdef"]
    for run, word in zip(runs, "abcdef", strict=True):
        result = await client.result(run, 10)
        assert result == {"run_id": run.id, "parameters": {"word": word}, "deadline": None, "word": word}


def test_outside_of_a_run_there_is_no_context():
    with pytest.raises(NoRun, match="for code that a Sluice worker runs"):
        context.run_id  # noqa: B018 - asking is what is tested


async def test_children_carry_their_parent(client: Client, worker: Worker):
    run = await client.publish("parent_of", {"numbers": [1, 2, 3]})
    assert await client.result(run, 10) == 14
    children = [found for found in await client.list() if found.spec.parent == run.id]
    assert sorted(child.result for child in children) == [1, 4, 9]


@pytest.mark.parametrize("function", ["parent_of", "blocking_parent_of"])
async def test_a_parent_and_its_children_share_a_pool_of_limit_one(client: Client, stack: Stack, function: str):
    await client.pools.update("default", limit=1)
    await stack.worker(functions, limit=1)
    run = await client.publish(function, {"numbers": list(range(20))})
    assert await client.result(run, 20) == sum(n * n for n in range(20))
    assert (await client.pools.get("default")).running == 0


async def test_generations_wait_for_one_another_on_one_slot(client: Client, stack: Stack):
    await client.pools.update("default", limit=1)
    await client.limits.set("tenant:a", 1)
    await stack.worker(functions, limit=1)
    assert await client.result(await client.publish("descends", {"depth": 12}, keys=["tenant:a"]), 20) == 12


async def test_a_parent_goes_on_before_anything_queued(client: Client, stack: Stack, gate: Callable[[], str]):
    await client.pools.update("default", limit=1)
    await stack.worker(functions, limit=1)
    first, others = gate(), gate()
    child = await client.publish("passes_gate", {"name": first}, delay=3600)
    parent = await client.publish("waits_for", {"run": child.id, "timeout": 0.3})
    await wait_until(lambda: state_is(client, parent.id, RunState.RUNNING), description="the parent runs")
    blocker = await client.publish("passes_gate", {"name": others})
    behind = [await client.publish("leaf", {"number": number}) for number in range(5)]
    await wait_until(lambda: state_is(client, blocker.id, RunState.RUNNING), description="its slot is used meanwhile")
    assert (await client.get(parent)).state == RunState.RUNNING
    await wait_until(lambda: wants_slots(client), description="its patience is over: it asks for its slot again")
    GATES[others].set()
    assert "ResultTimeout" in await client.result(parent, 10)
    ended = await client.get(parent)
    for run in behind:
        await client.result(run, 10)
        assert (await client.get(run)).started_at >= ended.finished_at


async def wants_slots(client: Client) -> bool:
    return bool(await client._store.link.client.zcard("sluice:{default}:resuming"))


async def state_is(client: Client, run_id: str, state: RunState) -> bool:
    return (await client.get(run_id)).state == state


async def test_what_it_waits_for_may_fail_or_take_too_long(client: Client, worker: Worker):
    failed = await client.publish("fails")
    waiter = await client.publish("waits_for", {"run": failed.id})
    assert "no such luck" in await client.result(waiter, 10)
    later = await client.publish("leaf", {"number": 1}, delay=3600)
    for keep_slots in (False, True):
        waiter = await client.publish("waits_for", {"run": later.id, "timeout": 0.2, "keep_slots": keep_slots})
        assert "is not over after 0.2 s" in await client.result(waiter, 10)


async def test_a_run_that_waits_can_be_cancelled(client: Client, worker: Worker):
    later = await client.publish("leaf", {"number": 1}, delay=3600)
    waiter = await client.publish("waits_for", {"run": later.id})
    await wait_until(lambda: is_suspended(client), description="it waits without a slot")
    assert waiter.id in [run.id for run in await client.list(states=[RunState.RUNNING])]
    await client.cancel(waiter)
    with pytest.raises(RunFailed, match="cancelled"):
        await client.result(waiter, 10)
    assert (await client.pools.get("default")).running == 0


async def is_suspended(client: Client) -> bool:
    running = await client.list(states=[RunState.RUNNING])
    return bool(running) and (await client.pools.get("default")).running == 0


async def test_progress_is_seen_while_it_runs(client: Client, worker: Worker, gate: Callable[[], str]):
    name = gate()
    run = await client.publish("says", {"share": 0.5, "text": "reading", "gate": name})

    async def told() -> bool:
        return (await client.get(run)).progress == "50% reading"

    await wait_until(told, description="its progress is known")
    GATES[name].set()
    await client.result(run, 10)
    assert [(line.level, line.text) async for line in client.logs(run)] == [("warning", "half way done=3")]


async def test_a_cancelled_tree_takes_a_thousand_runs_along(client: Client, stack: Stack):
    await client.pools.update("default", limit=3)
    root = await client.publish("leaf", {"number": 0}, delay=3600)
    level = [root.id]
    everyone = [root.id]
    for width in (9, 90, 900):
        level = [
            (
                await client.publish(
                    "leaf", {"number": 1}, parent=level[number % len(level)], delay=3600 if width < 900 else None
                )
            ).id
            for number in range(width)
        ]
        everyone += level
    assert await client.cancel(root, children=True) == ["cancelled"]
    runs = [await client.get(run) for run in everyone]
    assert {run.state for run in runs} == {RunState.CANCELLED}
    assert {run.reason for run in runs[1:]} == {"parent_cancelled"}
    pool = await client.pools.get("default")
    assert (pool.queued, pool.scheduled, pool.running) == (0, 0, 0)


async def test_without_asking_children_are_left_alone(client: Client, stack: Stack):
    parent = await client.publish("leaf", {"number": 0})
    child = await client.publish("leaf", {"number": 1}, parent=parent.id)
    await client.cancel(parent)
    assert (await client.get(child)).state == RunState.QUEUED


async def test_a_cancelled_claim_publishes_nothing_more(client: Client, worker: Worker, tmp_path: Path):
    note = tmp_path / "note"
    run = await client.publish("publishes_forever", {"path": str(note)})
    await wait_until(note.exists, description="it runs")
    await client.cancel(run)
    await wait_until(lambda: note.read_text() != "began", description="it tried")
    assert note.read_text() == "refused"


async def test_a_child_with_bad_options_is_refused_in_the_parent(client: Client, worker: Worker):
    run = await client.publish("bad_child")
    with pytest.raises(RunFailed, match="unknown option 'colour'"):
        await client.result(run, 10)


@functions.register
async def bad_child() -> None:
    with pytest.raises(InvalidInput):
        await context.publish("leaf", {"number": 1}, queue="a|b")
    await context.publish("leaf", {"number": 1}, colour="red")
