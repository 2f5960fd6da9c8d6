"""Two releases of the code side by side, as in a rolling upgrade: other scripts, other processes, the same runs."""

import shutil
import sys
from pathlib import Path

import pytest
import redis

import dispatcher
from dispatcher import codec, scripts
from dispatcher.models import RunSpec
from dispatcher.store import Store
from dispatcher.store.runs import WireRun
from tests.support.processes import Child, Children
from tests.support.stack import PROGRAMS, Stack
from tests.support.waiting import wait_until
from tests.support.witness import Witness

ROOT = Path(dispatcher.__file__).parents[1]


@pytest.fixture
def other_release(tmp_path: Path) -> Path:
    """The folder of a release whose scripts differ, each by a comment."""
    folder = tmp_path / "release"
    for package in ("dispatcher", "workers", "scheduler"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (folder / "dispatcher" / "lua").glob("*.lua"):
        script.write_text(script.read_text() + "\n-- of another release\n")
    return folder


def start(children: Children, release: Path, *words: str, env: dict[str, str] | None = None) -> Child:
    """A process with the code of that release."""
    return children.start(sys.executable, "-P", *words, env={**(env or {}), "PYTHONPATH": str(release)})


@pytest.mark.fault(46)
async def test_two_releases_work_side_by_side(
    stack: Stack, children: Children, witness: Witness, other_release: Path
) -> None:
    await stack.client.pools.update("default", limit=3)
    await stack.client.limits.set("k:*", 2)
    await stack.worker_process(children, witness, limit=1)
    await stack.scheduler()
    where = start(children, other_release, "-c", "import dispatcher; print(dispatcher.__file__)")
    await where.ended()
    assert str(other_release) in where.text(), "it is the other code that runs"
    environment = {**witness.environment, "SLUICE_LOG_FORMAT": "json"}
    worker = start(children, other_release, str(PROGRAMS / "worker.py"), stack.url, '{"limit": 2}', env=environment)
    service = start(children, other_release, str(PROGRAMS / "service.py"), stack.url, "dispatcher")

    async def both_are_there() -> bool:
        assert (worker.exit_code, service.exit_code) == (None, None), worker.text() + service.text()
        return len(await stack.client.workers.list()) == 2 and "serves" in service.text()

    await wait_until(both_are_there, description="the other release serves", timeout=60)
    runs = [
        await stack.client.publish("work", {"name": f"r{n}", "seconds": 0.2}, keys=[f"k:{n % 3}"], delay=0.02 * (n % 5))
        for n in range(40)
    ]
    await stack.completed(runs, timeout=60)
    witness.exactly_once({f"r{n}" for n in range(40)})
    assert witness.highest() <= 3
    assert len({line.pid for line in witness.lines()}) == 2, "both had their share"
    stack.ended_once(runs)
    theirs = (other_release / "dispatcher" / "lua" / "turn.lua").read_text()
    assert theirs.count("another release") == 1
    with redis.Redis.from_url(stack.url) as connection:
        assert connection.script_exists(scripts.load("turn").sha) == [True]
        assert connection.info("memory")["number_of_cached_scripts"] > len(scripts.names())


@pytest.mark.fault(46)
async def test_what_a_newer_release_says_in_a_spec_is_passed_over(
    stack: Stack, children: Children, witness: Witness
) -> None:
    """Positions that this release does not know; the record keeps them as they were."""
    await stack.worker_process(children, witness)
    known = codec.unpack(codec.encode_spec(RunSpec(function="work", parameters={"name": "r"}), codec.HARD_LIMIT))
    spec = codec.pack([*known, *[None] * (40 - len(known)), {"unheard": "of"}])
    async with Store(stack.url) as store:
        await store.runs.publish("default", [WireRun("newer-000000000001", "default|", b"", spec)])
        assert await stack.client.result("newer-000000000001", timeout=20) == "r"
        assert await store.workers.spec("default", "newer-000000000001") == spec
