"""Publishers that go on whatever happens to the server, and what became of the runs that were acknowledged."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import anyio
import redis

from dispatcher import Client, Published, RunState
from dispatcher.errors import RunNotFound, ServerError
from dispatcher.ids import new_run_id

from .waiting import wait_until
from .witness import Witness

LIMIT = 4
SECONDS = 0.02


class Load:
    """Runs of one pool, published one after the other by each of a few publishers, each until it is acknowledged."""

    def __init__(self, client: Client, pool: str) -> None:
        self.client, self.pool = client, pool
        self.runs: list[Published] = []
        self.times: list[float] = []
        self.refused = 0

    @asynccontextmanager
    async def going_on(self, publishers: int = 3) -> AsyncIterator[None]:
        """Publish while the block runs."""
        await self.client.pools.update(self.pool, limit=LIMIT)
        is_over = anyio.Event()
        async with anyio.create_task_group() as group:
            for _ in range(publishers):
                group.start_soon(self._publish, is_over)
            await self.more(10)
            yield
            await self.more(30)
            is_over.set()

    async def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = len(self.runs) + count
        await wait_until(lambda: len(self.runs) >= wanted, description="publishing goes on", timeout=60)

    async def _publish(self, is_over: anyio.Event) -> None:
        while not is_over.is_set():
            run_id = new_run_id()
            while True:
                try:
                    run = await self.client.publish(
                        "work", {"name": run_id, "seconds": SECONDS}, run_id=run_id, pool=self.pool
                    )
                except ServerError:
                    self.refused += 1
                    await anyio.sleep(0.05)
                else:
                    self.runs.append(run)
                    self.times.append(time.monotonic())
                    break
            await anyio.sleep(0.01)

    @property
    def gap(self) -> float:
        """The longest time without an acknowledged publish, in seconds."""
        return max(later - earlier for earlier, later in pairwise(self.times))

    async def lost(self) -> list[Published]:
        """Acknowledged runs that nobody knows any more."""
        found: list[Published] = []
        for run in self.runs:
            try:
                await self.client.get(run)
            except RunNotFound:
                found.append(run)
        return found

    async def publish_again(self, runs: list[Published]) -> None:
        """Publish lost ones once more, under their ids."""
        for run in runs:
            await self.client.publish("work", {"name": run.id, "seconds": SECONDS}, run_id=run.id, pool=self.pool)

    async def completed(self) -> None:
        """Wait until all have completed."""
        wanted = [run.id for run in self.runs]

        async def over() -> bool:
            found = await self.client._store.runs.get_many(self.pool, wanted)
            return len(found) == len(wanted) and {run.state for run in found} == {RunState.COMPLETED}

        await wait_until(over, description="all runs have completed", timeout=60, interval=0.1)

    def ended_once(self, port: int) -> None:
        """AssertionError unless the records of the server say that each is over once, and nothing is held."""
        root = f"sluice:{{{self.pool}}}"
        with redis.Redis(port=port) as connection:
            lines = connection.xrange(f"{root}:finished")
            ended = Counter(next(iter(fields.values())).decode() for _, fields in lines)
            assert ended == Counter(run.id for run in self.runs)
            assert list(connection.scan_iter(f"{root}:slots*", count=1000)) == []

    def executed(self, witness: Witness) -> Counter[str]:
        """How often each run was begun, of those that were begun more than once."""
        mine = {run.id for run in self.runs}
        begun = witness.count("start")
        assert mine <= begun.keys()
        return Counter({run_id: count for run_id, count in begun.items() if run_id in mine and count > 1})
