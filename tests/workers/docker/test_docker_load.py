"""Many containers at once, and one that writes a gigabyte."""

import threading
from pathlib import Path
from typing import Any

import pytest

from dispatcher import Client
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from workers.docker import DockerWorker

pytestmark = [pytest.mark.docker, pytest.mark.slow]
GIGABYTE, LINE = 1_000_000_000, 8_000


def resident() -> int:
    """Bytes of memory that this process uses now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def log_readers() -> int:
    return sum(thread.name == "sluice-docker-log" for thread in threading.enumerate())


@pytest.mark.timeout(600)
async def test_a_gigabyte_of_output_fills_no_memory_and_the_last_lines_are_read(
    client: Client, worker: Any, image: str
):
    before, most = resident(), 0
    script = f"yes {'x' * LINE} | head -c {GIGABYTE}; echo the end >&2; exit 3"
    run = await client.publish(command=script, shell=True, job_variables={"image": image})

    async def is_over() -> bool:
        nonlocal most
        most = max(most, resident())
        return (await client.get(run)).state.is_terminal

    await wait_until(is_over, description="it is over", timeout=500, interval=0.05)
    assert "the end" in (await client.get(run)).error
    assert most - before < 100_000_000
    lines = [line async for line in client.logs(run)]
    assert len(lines) <= 10_002
    assert sum(line.cut for line in lines) > 0, "what is missing is counted"


@pytest.mark.timeout(300)
async def test_fifty_containers_at_once_are_watched_by_few_threads(client: Client, stack: Stack, image: str):
    kind = DockerWorker()
    await stack.worker(kind, pool=client.pool, limit=50, lease=60)
    before = threading.active_count()
    quiet = [
        await client.publish(command=["sleep", "600"], job_variables={"image": image, "stream_output": False})
        for _ in range(25)
    ]
    loud = [await client.publish(command=["sleep", "600"], job_variables={"image": image}) for _ in range(25)]

    async def are_running() -> bool:
        return all([(await client.get(run)).state.value == "running" for run in [*quiet, *loud]])

    await wait_until(are_running, description="all run", timeout=100, interval=0.1)
    assert log_readers() == 25
    assert threading.active_count() - before <= 25 + 12
    for run in [*quiet, *loud]:
        await client.cancel(run)

    async def are_over() -> bool:
        return all([(await client.get(run)).state.is_terminal for run in [*quiet, *loud]])

    await wait_until(are_over, description="all are over", timeout=100, interval=0.1)
    assert log_readers() == 0
