"""compose.yaml with compose.ha.yaml on a real engine: the master dies under load, and again everything is stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import DockerEngine
from tests.support.highly import NOTES, Outcome, Publishing, Stack
from tests.support.waiting import wait_until_sync

SLOTS = 12
"""The limit of the pool in compose/sluice.yaml: so many runs may be under way when a master dies."""
COMMAND = f"echo start $SLUICE_RUN_ID >>{NOTES}; sleep 0.1; echo end $SLUICE_RUN_ID >>{NOTES}"


@pytest.fixture
def stack(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[Stack]:
    with Stack(docker_engine, tmp_path) as found:
        yield found


def _fail_over(stack: Stack, publishing: Publishing) -> None:
    """Kill the first master while runs are published and executed; the other one takes over with all of it."""
    publishing.wait_for(10, "replicated")
    stack.run("kill", "redis")
    wait_until_sync(lambda: stack.named() == {"redis-replica"}, description="it is promoted", timeout=120, interval=0.5)
    publishing.wait_for(10, "fast")
    stack.run("up", "--detach", "--no-deps", "redis")
    stack.wait_until_in_step("redis-replica")
    publishing.wait_for(10, "replicated")


def _nothing_was_lost(stack: Stack, told: dict[str, Outcome]) -> int:
    """Check what became of all runs; how many there were."""
    assert told["replicated"]["lost"] == []
    assert len(told["fast"]["lost"]) <= 1  # acknowledged in the very moment of that death
    published = {run for level in told.values() for run in level["published"]} - set(told["fast"]["lost"])
    assert {state for level in told.values() for state in level["states"]} == {"completed"}
    ended, notes = stack.ended(), stack.notes()
    assert published <= set(ended)
    assert set(ended.values()) == {1}
    assert published <= {run for kind, run in notes if kind == "end"}
    assert sum(times > 1 for times in notes.values()) <= 2 * SLOTS
    return len(ended)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_replica_takes_over_from_a_killed_master_and_stays_the_master(stack: Stack):
    stack.wait_until_in_step("redis")
    with stack.publish_until_stopped(COMMAND, "replicated", "fast") as publishing:
        _fail_over(stack, publishing)
        told = publishing.stop()
    runs = _nothing_was_lost(stack, told)
    stack.run("run", "--rm", "-T", "--no-deps", "cli", "doctor", "--audit")

    stack.run("down")
    stack.run("up", "--detach", "redis")
    alone = wait_until_sync(
        lambda: stack.replication("redis"), description="the first one answers", timeout=60, interval=0.5
    )
    assert (alone["role"], alone["slave_priority"]) == ("slave", "0")  # it may lack what the other one has
    stack.run("up", "--detach", "init")  # with both servers and the sentinels
    assert stack.named() == {"redis-replica"}
    stack.wait_until_in_step("redis-replica")
    assert sum(stack.ended().values()) == runs
