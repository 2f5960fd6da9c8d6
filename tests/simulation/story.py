"""What people and programs ask of the system in a simulation: runs of every kind, cancels, limits, pauses, drains."""

import asyncio
import contextlib
from random import Random
from typing import Any

from dispatcher import Client
from dispatcher.errors import RunFailed, ServerError, SluiceError
from dispatcher.models import RetryPolicy

from .processes import CURRENT, Process
from .world import World

QUEUES = ["default", "default", "fast", "slow"]
KEYS = ["t:1", "t:2", "u:1"]
SECONDS = [0.01, 0.05, 0.05, 0.2, 0.2, 0.2, 0.8, 0.8, 2.5, 4.0]


class Story:
    """What is asked, from a seed; `published` are runs of which a publisher was told that they are there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"{world.seed} asked")
        self.published: set[str] = set()
        self.results: dict[str, str] = {}
        self._asked: dict[str, Process] = {}
        self._publishing: dict[str, Process] = {}
        self.is_over = False

    def begin(self) -> None:
        """Start everything but the faults."""
        world, fleet = self._world, self._world.fleet
        for number in (1, 2):
            world.run(f"dispatcher{number}", fleet.dispatcher)
            world.run(f"scheduler{number}", fleet.scheduler)
            world.run(f"publisher{number}", self._publisher)
        world.run("admin", self._administrator)
        for number in (1, 2, 3):
            options = self._worker_options(number)
            name = f"worker{number}"
            world.run(name, lambda name=name, options=options: fleet.worker(name, **options))

    def _worker_options(self, number: int) -> dict[str, Any]:
        random = self._random
        options: dict[str, Any] = {"limit": random.choice([1, 2, 4, 8])}
        if number == 1 or random.random() < 0.3:
            options["labels"] = ("gpu",)
        return options

    def publishing(self) -> set[str]:
        """Runs that somebody who is alive is publishing."""
        return {run_id for run_id, process in self._publishing.items() if not process.is_dead}

    def unanswered(self) -> set[str]:
        """Runs whose end somebody waits for who is alive."""
        return {run_id for run_id, process in self._asked.items() if not process.is_dead} - self.results.keys()

    # Publishing ------------------------------------------------------------------------------------------------------

    async def _publisher(self) -> None:
        client = self._world.fleet.client()
        while not self.is_over:
            await asyncio.sleep(self._random.expovariate(2.0))
            number = self._random.choice([1, 1, 1, 2, 4])
            await asyncio.gather(*(self._publish(client) for _ in range(number)))
        await asyncio.Event().wait()

    async def _publish(self, client: Client) -> None:
        options = self._options()
        how = self._random.choice(["well", "well", "well", "fails", "stubborn"])
        seconds = self._random.choice(SECONDS)
        self._publishing[options["run_id"]] = CURRENT.get()
        while not self.is_over:
            try:
                published = await client.publish("work", {"seconds": seconds, "how": how}, **options)
            except ServerError:
                await asyncio.sleep(0.5)
                continue
            self.published.add(published.id)
            if self._random.random() < 0.4:
                self._asked[published.id] = CURRENT.get()
                asyncio.get_running_loop().create_task(self._hear(client, published.id))
            break
        del self._publishing[options["run_id"]]

    async def _hear(self, client: Client, run_id: str) -> None:
        while run_id not in self.results:
            try:
                await client.result(run_id)
            except RunFailed as error:
                self.results[run_id] = error.state
            except ServerError:
                await asyncio.sleep(0.5)
            else:
                self.results[run_id] = "completed"

    def _options(self) -> Any:
        random = self._random
        options: dict[str, Any] = {"run_id": f"run-{random.randbytes(12).hex()}", "queue": random.choice(QUEUES)}
        if random.random() < 0.3:
            options["keys"] = sorted(random.sample(KEYS, random.choice([1, 1, 2])))
        if random.random() < 0.2:
            options["labels"] = ["gpu"]
        if random.random() < 0.25:
            options["delay"] = random.choice([0.05, 0.5, 3.0])
        if random.random() < 0.15:
            options["expires"] = random.choice([0.5, 4.0])
        if random.random() < 0.3:
            options["retry"] = RetryPolicy(random.choice([1, 2]), random.choice([0, 0.2, 1.0]), 1, 10, 0.5)
        if random.random() < 0.1:
            options["timeout"] = random.choice([0.3, 1.0])
        if random.random() < 0.1:
            options["idempotency_key"] = f"i{random.randrange(8)}"
        return options

    # Administration --------------------------------------------------------------------------------------------------

    async def _administrator(self) -> None:
        client = self._world.fleet.client()
        while True:
            await asyncio.sleep(self._random.expovariate(1.0))
            if self.is_over:
                await self._open_all(client)
                return await asyncio.Event().wait()
            with contextlib.suppress(SluiceError):
                await self._administer(client)

    async def _administer(self, client: Client) -> None:
        random, model = self._random, self._world.server.model
        match random.randrange(9):
            case 0:
                await client.pools.update("p", limit=random.choice([None, 2, 6]))
            case 1:
                await client.pools.pause("p")
                await asyncio.sleep(random.random())
                await client.pools.resume("p")
            case 2:
                await client.queues.update(random.choice(QUEUES), limit=random.choice([None, 1, 2]))
            case 3:
                await client.queues.update(random.choice(QUEUES), priority=random.choice([1, 2, 3]))
            case 4:
                limit, policy = random.choice([1, 2]), random.choice(["wait", "wait", "skip", "replace", "wait_one"])
                await client.limits.set(random.choice(["t:*", "t:1", "u:1"]), limit, when_full=policy)
            case 5 if model.workers:
                ask = random.choice([client.workers.drain, client.workers.stop])
                await ask(random.choice(sorted(model.workers)))
            case _:
                runs = sorted(model.runs.open)
                if runs:
                    await client.cancel(*random.sample(runs, min(len(runs), random.choice([1, 1, 3]))))

    async def _open_all(self, client: Client) -> None:
        """Nothing holds runs back any more. Until it is so."""
        while True:
            try:
                await client.pools.update("p", limit=None, paused=False)
                for queue in sorted(set(QUEUES) & self._world.server.model.queues.keys()):
                    await client.queues.update(queue, limit=None, paused=False)
            except ServerError:
                continue
            return
