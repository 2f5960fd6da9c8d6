"""What a process has of the server in the simulation: a Link over simulated clients, and a heart that is a task.

Everything above it (retries of a call, its time limit, the decoding of replies) is the product's own.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from redis.exceptions import ConnectionError as Cut

from dispatcher import scripts
from dispatcher.clock import Clock
from dispatcher.codec import pack
from dispatcher.errors import ServerError, WorkerGone
from dispatcher.store import Link, Store
from dispatcher.store.link import root_of
from dispatcher.store.workers import beat_of
from workers.heartbeat import Pulse

from .network import Network
from .processes import CURRENT, Process

MOST_RETRIES, FIRST_PAUSE, LONGEST_PAUSE = 6, 0.02, 1.0


class Connection:
    """The part of a redis client that the stores use; one call at a time where it is a single connection."""

    def __init__(self, network: Network, *, retries: int, is_single: bool = True) -> None:
        self._network, self._retries = network, retries
        self._lock = asyncio.Lock() if is_single else None

    async def evalsha(self, sha: str, numkeys: int, root: str, *args: Any) -> Any:
        return await self._call("script", sha, args)

    async def evalsha_ro(self, sha: str, numkeys: int, root: str, *args: Any) -> Any:
        return await self._call("script", sha, args)

    async def script_load(self, text: str) -> Any:
        return await self._call("load", text)

    async def xread(self, streams: dict[str, str], count: int | None = None, block: int = 0) -> Any:
        return await self._call("read", streams, count, block)

    async def execute(self, commands: Sequence[tuple[Any, ...]]) -> Any:
        return await self._call("commands", commands)

    def pipeline(self, *, transaction: bool) -> "Pipeline":
        return Pipeline(self)

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _call(self, *words: Any) -> Any:
        if self._lock is None:
            return await self._patiently(words)
        async with self._lock:
            return await self._patiently(words)

    async def _patiently(self, words: tuple[Any, ...]) -> Any:
        for number in range(self._retries):
            try:
                return await self._network.call(*words)
            except Cut:
                await asyncio.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2**number))
        return await self._network.call(*words)


class Pipeline:
    """Commands that travel together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._commands: list[tuple[Any, ...]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._commands.clear()

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    async def execute(self) -> Any:
        commands, self._commands = self._commands, []
        async with asyncio.timeout(5):
            return await self._connection.execute(commands)


class SimulatedLink(Link):
    """A link whose clients are simulated."""

    def __init__(self, network: Network, clock: Clock) -> None:
        self._clock = clock
        self.url = "redis://simulated"
        self.network = network
        self.client = Connection(network, retries=MOST_RETRIES, is_single=False)
        self.calls = Connection(network, retries=MOST_RETRIES)
        self.turns = Connection(network, retries=0)
        self.blocking = Connection(network, retries=0)
        self.durable = Connection(network, retries=0)
        self.now_ms = 0


class TaskHeart:
    """A worker's heart as a task of a simulated thread: it beats while the loop of its process is busy."""

    def __init__(self, pulse: Pulse, store: Store, pool: str, worker: str) -> None:
        self._pulse, self._worker, self._root = pulse, worker, root_of(pool)
        link = store.link
        assert isinstance(link, SimulatedLink)
        self._client = Connection(link.network, retries=0)
        self._timeout = max(0.2, pulse.lease.seconds / 6)
        self._stopped = asyncio.Event()
        self._script = scripts.load("heartbeat")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        process: Process = CURRENT.get()
        thread = process.thread("heart")
        self._task = asyncio.get_running_loop().create_task(self._run(), context=thread.context.copy())

    async def stop(self) -> None:
        self._stopped.set()
        if self._task:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not (self._pulse.is_over or self._stopped.is_set()):
            if self._pulse.is_due():
                await self._beat()
            try:
                async with asyncio.timeout(self._pulse.pause):
                    await self._stopped.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        seen, held, show = self._pulse.begin()
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._script.run(self._client, self._root, 0, self._worker, seen, pack(show), *held)
            beat = beat_of(self._worker, seen, reply)
        except WorkerGone as error:
            self._pulse.failed(error)
        except (Cut, TimeoutError) as error:
            self._pulse.failed(ServerError(str(error)))
        else:
            self._pulse.answered(beat)
