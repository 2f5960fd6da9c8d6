"""Processes that will not go: after cancel, timeout or their worker's death nothing of them is left, for certain."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dispatcher import Client, RunFailed, RunState
from tests.support.processes import Children
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until
from workers import ProcessWorker, Worker

DEAF = "import signal, time\nfor n in (1, 2, 15):\n    signal.signal(n, signal.SIG_IGN)\n"


STAY = "open('began', 'w'); time.sleep(600)"
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, '-c', DEAF_AND_IDLE, 'MARK'], {})
    os._exit(0)
os.wait()
"""
CHILD = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', DEAF_AND_IDLE, 'MARK'], {options})\n"
# Each begins by being there, carries the mark in its command line, and would stay for ten minutes.
HOSTILE = {
    "ignores SIGTERM": DEAF + STAY,
    "has a child that ignores SIGTERM": CHILD.format(options="") + STAY,
    "has a child in a session of its own": CHILD.format(options="start_new_session=True") + STAY,
    "makes a daemon with an empty environment": DAEMON + STAY,
    "closes its pipes and goes on": DEAF + "import os; os.closerange(0, 3); " + STAY,
    "prints for ever": "import sys\nopen('began', 'w')\nwhile True:\n    sys.stdout.write('x' * 1000 + '\\n')",
    "prints without a line's end": "import sys\nopen('began', 'w')\nwhile True:\n    sys.stdout.write('x' * 1000)",
    "stops itself": "import os, signal\nopen('began', 'w')\nwhile True:\n    os.kill(os.getpid(), signal.SIGSTOP)",
}
LEFT_BEHIND = {
    "a child": CHILD.format(options=""),
    "a child in a session of its own": CHILD.format(options="start_new_session=True"),
    "a daemon": DAEMON,
    "a process that is always another one": "import os\nwhile True:\n    if os.fork():\n        os._exit(0)\n",
}


def command(text: str, mark: str) -> list[str]:
    idle = repr(DEAF + "time.sleep(600)")
    return [sys.executable, "-c", text.replace("DEAF_AND_IDLE", idle).replace("MARK", mark), mark]


def alive(mark: str) -> list[str]:
    """Command lines of processes that carry this mark; not those that have ended and wait to be collected."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "cmdline").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture
async def worker(stack: Stack) -> AsyncIterator[Worker]:
    await stack.client.pools.create("processes", type="process")
    return await stack.worker(ProcessWorker(), pool="processes", limit=8, cancel_grace=0.3)


@pytest.fixture
async def client(redis_url: str, worker: Worker) -> AsyncIterator[Client]:
    async with Client(redis_url, pool="processes") as client:
        yield client


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return f"mark-{os.getpid()}-{tmp_path.name}"


def state() -> tuple[int, int]:
    """Open descriptors and resident KB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(list(Path("/proc/self/fd").iterdir())), pages * resource.getpagesize() // 1024


def zombies() -> list[str]:
    """Processes anywhere below that nobody has collected."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,stat,comm"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.split()[2].startswith("Z")]


def begun(folder: Path) -> Callable[[], bool]:
    return (folder / "began").exists


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_nothing_is_left_when_the_run_is_over(client: Client, tmp_path: Path, mark: str, kind: str, how: str):
    run = await client.publish(
        command=command(HOSTILE[kind], mark),
        job_variables={"working_dir": str(tmp_path)},
        timeout=1.0 if how == "timeout" else None,
    )
    await wait_until(begun(tmp_path), description="it has begun")
    assert alive(mark)
    if how == "cancel":
        assert await client.cancel(run) == ["cancelling"]
    with pytest.raises(RunFailed) as failed:
        await client.result(run, 20)
    assert alive(mark) == []
    expected = ("cancelled", "asked") if how == "cancel" else ("failed", "timed_out")
    assert (failed.value.state, failed.value.reason) == expected
    assert (await client.pools.get("processes")).running == 0


@pytest.mark.parametrize("what", LEFT_BEHIND)
async def test_what_a_run_leaves_behind_goes_when_it_completes(client: Client, mark: str, what: str):
    run = await client.publish(command=command(LEFT_BEHIND[what], mark))
    await client.result(run, 20)
    assert alive(mark) == []


@pytest.mark.parametrize("kind", HOSTILE)
async def test_nothing_is_left_when_the_worker_is_killed(
    stack: Stack, children: Children, tmp_path: Path, mark: str, kind: str
):
    await stack.client.pools.create("processes", type="process")
    child = children.python(PROGRAMS / "process_worker.py", stack.url)
    run = await stack.client.publish(
        command=command(HOSTILE[kind], mark), pool="processes",
        job_variables={"working_dir": str(tmp_path)},
    )  # fmt: skip
    await wait_until(begun(tmp_path), description="it has begun", timeout=20)
    child.kill()
    await wait_until(lambda: not alive(mark), description="nothing of it is left")
    assert (await stack.client.get(run)).state == RunState.RUNNING  # its lease has not ended


async def test_no_folder_is_left_when_the_worker_is_killed(stack: Stack, children: Children, tmp_path: Path):
    await stack.client.pools.create("processes", type="process")
    place = tmp_path / "temporary"
    place.mkdir()
    child = children.python(PROGRAMS / "process_worker.py", stack.url, env={"TMPDIR": str(place)})
    script = "mkdir -p a/b; touch a/b/c; touch began; sleep 600"
    await stack.client.publish(command=script, shell=True, pool="processes")
    await wait_until(lambda: bool(list(place.glob("*/*/began"))), description="it has begun", timeout=20)
    child.kill()
    await wait_until(lambda: not list(place.iterdir()), description="its folder is gone")


async def test_a_keeper_that_is_killed_takes_its_run_along_and_the_worker_goes_on(
    client: Client, tmp_path: Path, mark: str
):
    text = HOSTILE["makes a daemon with an empty environment"]
    run = await client.publish(command=command(text, mark), job_variables={"working_dir": str(tmp_path)})
    await wait_until(begun(tmp_path), description="it has begun")
    first = int((await client.get(run)).infrastructure.split(":")[1])
    keeper = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(keeper, signal.SIGKILL)
    with pytest.raises(RunFailed, match="SIGKILL"):
        await client.result(run, 20)
    await wait_until(lambda: not alive(mark), description="nothing of it is left")
    after = await client.publish(command=["true"])
    await client.result(after, 20)


async def test_a_gigabyte_of_output_costs_bounded_memory_and_is_counted(client: Client):
    size = int(os.environ.get("SLUICE_TEST_OUTPUT_MB", "200"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = await client.publish(command=f"yes {'y' * 99} | head -c {size}000000", shell=True)
    await client.result(run, 100)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60_000  # KB
    kept = [line async for line in client.logs(run)]
    assert len(kept) <= 10_001
    assert f"{size * 10_000 - len(kept) + 1:,}" in kept[-1].text


async def test_a_line_without_end_is_kept_in_pieces(client: Client):
    run = await client.publish(command="head -c 100000 /dev/zero | tr '\\0' x", shell=True)
    await client.result(run, 20)
    lines = [line.text async for line in client.logs(run)]
    assert sum(map(len, lines)) == 100_000
    assert max(map(len, lines)) <= 8192 + 100


@pytest.mark.slow
async def test_many_runs_leave_no_zombie_no_descriptor_and_no_memory(client: Client):
    """SLUICE_TEST_PROCESSES=10000 makes it long."""
    count = int(os.environ.get("SLUICE_TEST_PROCESSES", "600"))

    async def batch(size: int) -> None:
        runs = [await client.publish(command=["true"]) for _ in range(size // 2)]
        runs += [
            await client.publish(
                None, {"a": n}, entrypoint="flows.py:add", job_variables={"working_dir": str(PROGRAMS)}
            )
            for n in range(size // 2)
        ]
        for run in runs:
            await client.result(run, 60)

    await batch(200)
    descriptors, memory = state()
    for _ in range(count // 200):
        await batch(200)
    after, grown = state()
    assert after <= descriptors + 4
    assert grown - memory < 20_000  # KB
    await wait_until(lambda: not zombies(), description="no zombie is left")
