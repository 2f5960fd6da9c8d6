"""Runs tried again by hand, and dead letters: what is published, what names what, what sending twice does."""

import pytest

from dispatcher import NotFound, RetryPolicy, RunFailed, RunNotFound, RunState
from dispatcher.errors import InvalidInput, RunNotOver
from tests.support.stack import Stack
from workers import Functions

functions = Functions()
BROKEN = {"door": True}


@functions.register
async def opens(door: int) -> int:
    if BROKEN["door"]:
        raise OSError(f"door {door} is stuck")
    return door


@functions.register
async def adds(a: int) -> int:
    return a + 1


async def spent(stack: Stack, *doors: int) -> list[str]:
    """Runs that failed and have no retries left."""
    BROKEN["door"] = True
    policy = RetryPolicy(1, delay=0)
    runs = [
        await stack.client.publish("opens", {"door": door}, retry=policy, queue="doors", keys=["house:1"], tags=["t"])
        for door in doors
    ]
    for run in runs:
        with pytest.raises(RunFailed, match="is stuck"):
            await stack.client.result(run, 10)
    return [run.id for run in runs]


async def test_a_run_is_tried_again_as_it_was_and_names_the_old_one(stack: Stack):
    await stack.worker(functions)
    old = await stack.client.publish("adds", {"a": 1}, queue="sums", keys=["house:1"], labels=[], name="sum", timeout=5)
    assert await stack.client.result(old, 10) == 2
    first, second = await stack.client.retry(old), await stack.client.retry(old)
    assert len({old.id, first.id, second.id}) == 3
    assert await stack.client.result(first, 10) == 2
    again, before = await stack.client.get(first), await stack.client.get(old)
    assert again.spec.retry_of == old.id
    assert (again.queue, again.keys, again.spec.name, again.spec.timeout) == ("sums", ("house:1",), "sum", 5)
    assert before.state == RunState.COMPLETED


async def test_only_what_is_over_is_tried_again(stack: Stack):
    run = await stack.client.publish("adds", {"a": 1})
    with pytest.raises(RunNotOver, match=f"run {run.id} is queued, not over: cancel it first"):
        await stack.client.retry(run)
    with pytest.raises(RunNotFound):
        await stack.client.retry("0" * 32)


async def test_retries_that_are_spent_make_dead_letters_grouped_by_their_cause(stack: Stack):
    await stack.worker(functions)
    ids = await spent(stack, 7, 42, 108)
    assert await stack.client.dead.count() == 3
    (group,) = await stack.client.dead.groups()
    assert (group.count, group.reason, group.cause) == (3, "retries_spent", "OSError: door # is stuck")
    assert sorted(group.runs) == sorted(ids)
    assert [run.id for run in await stack.client.dead.list(limit=2)] == ids[:0:-1]


async def test_dead_letters_are_published_anew_once(stack: Stack):
    await stack.worker(functions)
    (dead,) = await spent(stack, 7)
    BROKEN["door"] = False
    (again,) = await stack.client.dead.retry(dead)
    assert await stack.client.result(again, 10) == 7
    assert (await stack.client.get(again)).spec.retry_of == dead
    assert await stack.client.dead.count() == 0
    assert (await stack.client.get(dead)).state == RunState.FAILED
    with pytest.raises(NotFound, match="is no dead letter"):
        await stack.client.dead.retry(dead)


async def test_two_who_try_the_same_again_publish_one_run(stack: Stack):
    await stack.worker(functions)
    (dead,) = await spent(stack, 7)
    connection = stack.client._store.link.client
    score = await connection.zscore("sluice:{default}:dead", dead)
    (first,) = await stack.client.dead.retry(dead)
    await connection.zadd("sluice:{default}:dead", {dead: score})  # the other one had looked before
    (second,) = await stack.client.dead.retry(dead)
    assert (first.id, first.is_new, second.id, second.is_new) == (second.id, True, first.id, False)


async def test_purging_forgets_them_and_keeps_the_runs(stack: Stack):
    await stack.worker(functions)
    ids = await spent(stack, 1, 2, 3)
    assert await stack.client.dead.purge(ids[0], ids[0]) == 1
    assert await stack.client.dead.purge() == 2
    assert await stack.client.dead.groups() == []
    assert {(await stack.client.get(run)).reason for run in ids} == {"retries_spent"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "names one of function, command and entrypoint"),
        ({"command": ["ls"], "entrypoint": "a:b"}, "names one of"),
        ({"command": []}, "a list of texts, the first one a program"),
        ({"command": ["ls", 1]}, "a list of texts"),
        ({"command": ["l\0s"]}, "a list of texts"),
        ({"command": 'echo "'}, "No closing quotation"),
        ({"command": ["ls"], "shell": True}, "one text"),
        ({"shell": True}, "one of function"),
        ({"entrypoint": "no_colon"}, "path/file.py:function"),
        ({"entrypoint": "a.py:"}, "path/file.py:function"),
        ({"command": ["ls"], "job_variables": ["a"]}, "list job variables: a mapping"),
        ({"command": ["ls"], "parent": "?"}, "is no run id"),
    ],
)
async def test_what_a_run_does_is_said_in_one_way(stack: Stack, options: dict[str, object], match: str):
    with pytest.raises(InvalidInput, match=match):
        await stack.client.publish(None, **options)
    assert await stack.client.list() == []


async def test_commands_are_kept_as_they_were_meant(stack: Stack):
    cases = {
        ("ls", "-l"): {"command": ["ls", "-l"]},
        ("echo", "a b"): {"command": "echo 'a b'"},
        "set -x\nls": {"command": "set -x\nls", "shell": True},
    }
    for kept, options in cases.items():
        run = await stack.client.publish(None, {"n": 1}, job_variables={"env": {"A": "b"}}, **options)
        spec = (await stack.client.get(run)).spec
        assert (spec.command, spec.parameters, spec.job_variables) == (kept, {"n": 1}, {"env": {"A": "b"}})
