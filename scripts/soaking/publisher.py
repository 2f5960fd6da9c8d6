"""A publisher of the soak, a process of its own: `python -m soaking.publisher '{"url": ..., ...}'`, until SIGTERM.

It keeps a journal: `ask` before a run goes out, `ok` when that was acknowledged, `no` when it was refused. A run that
is only asked for may or may not be there; one that was acknowledged must be.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import deque
from typing import Any, Self

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from dispatcher import Client, Publish, RetryPolicy, RunFailed
from dispatcher.addresses import read_address
from dispatcher.errors import ResultTimeout, RunNotFound, SluiceError

from .functions import COMMAND, HERE
from .load import OF_PROCESSES, POOL, PROCESSES, Ask, Load

AT_ONCE = 6
PATIENCE = 5.0
RECENT = 200
_REFUSED = (SluiceError, redis.RedisError, OSError)


class Journal:
    """One line a write, so that a killed publisher leaves whole lines."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: object) -> None:
        """Append a line."""
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class Publisher:
    """Performs what its load draws, several at once, at a rate."""

    def __init__(self, url: str, journal: Journal, durability: str) -> None:
        self._client = Client(url, pool=POOL, durability=durability)
        self._plain, self._is_replicated = _plain(url), durability == "replicated"
        self._journal = journal
        self._recent: deque[str] = deque(maxlen=RECENT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        await self._plain.aclose()

    async def perform(self, ask: Ask) -> None:
        """Do it, and write down how that ended."""
        try:
            if ask.kind in {"cancel", "await"}:
                await self._follow(ask)
            elif ask.kind == "intake":
                await self._add(ask)
            else:
                await self._publish(ask)
        except _REFUSED as error:
            for run_id, *_ in ask.runs:
                self._journal.write("no", run_id, type(error).__name__)

    async def _publish(self, ask: Ask) -> None:
        pool = PROCESSES if ask.kind in OF_PROCESSES else POOL
        for run in ask.runs:
            self._asked(pool, run)
        if ask.kind == "many":
            runs = [Publish(name, given, _options(run_id, rest)) for run_id, name, given, rest in ask.runs]
            for published in await self._client.publish_many(runs):
                self._acknowledged(published.id)
            return
        for run_id, name, given, rest in ask.runs:
            function, parameters, options = _work(name, given)
            published = await self._client.publish(function, parameters, pool=pool, **options, **_options(run_id, rest))
            if published.id == run_id:
                self._acknowledged(run_id)
            else:
                self._journal.write("same", run_id, published.id)

    async def _add(self, ask: Ask) -> None:
        run = run_id, name, parameters, options = ask.runs[0]
        self._asked(POOL, run)
        document = {"id": run_id, "function": name, "parameters": parameters, **options}
        async with self._plain.pipeline(transaction=False) as pipe:
            pipe.xadd(f"sluice:{{{POOL}}}:publish", {"run": json.dumps(document)})
            if self._is_replicated:
                pipe.execute_command("WAIT", 1, 5_000)
            rows = await pipe.execute()
        if self._is_replicated and not rows[-1]:
            self._journal.write("no", run_id, "NotDurable")
        else:
            self._acknowledged(run_id)

    async def _follow(self, ask: Ask) -> None:
        if len(self._recent) < ask.back:
            return
        run_id = self._recent[-ask.back]
        if ask.kind == "cancel":
            (status,) = await self._client.cancel(run_id)
            self._journal.write("cancel", run_id, status, time.time_ns() // 1_000_000)
            return
        try:
            result = await self._client.result(run_id, PATIENCE)
        except (RunFailed, RunNotFound, ResultTimeout):
            return
        if result != run_id:
            self._journal.write("wrong", run_id, result)

    def _asked(self, pool: str, run: tuple[str, str, dict[str, Any], dict[str, Any]]) -> None:
        run_id, _, _, options = run
        self._journal.write("ask", run_id, pool, "||".join([options["queue"], "|".join(options["keys"])]))

    def _acknowledged(self, run_id: str) -> None:
        self._journal.write("ok", run_id)
        self._recent.append(run_id)


def _plain(url: str) -> redis.asyncio.Redis:
    """Any client of Redis, which knows nothing of Sluice."""
    address, once = read_address(url), Retry(NoBackoff(), 0)
    if address.kind != "sentinel":
        return redis.asyncio.Redis.from_url(url, retry=once, socket_timeout=5)
    sentinels = Sentinel(address.hosts, sentinel_kwargs={"socket_timeout": 1, "retry": once})
    plain: redis.asyncio.Redis = sentinels.master_for(address.service, retry=once, socket_timeout=5)
    return plain


def _options(run_id: str, rest: dict[str, Any]) -> Any:
    options = {**rest, "run_id": run_id}
    if "retry" in options:
        options["retry"] = RetryPolicy(**options["retry"])
    return options


def _work(name: str, parameters: dict[str, Any]) -> tuple[str | None, dict[str, Any], Any]:
    if name == "command":
        return None, {}, {"command": ["sh", "-c", COMMAND, "sh", f"{parameters['seconds']:g}"]}
    if name in OF_PROCESSES:
        return None, parameters, {"entrypoint": f"{HERE}:{name}"}
    return name, parameters, {}


async def main(given: dict[str, Any]) -> None:
    """Publish until SIGTERM; what is under way then is seen to its end."""
    over, free = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    load = Load(given["seed"], given["number"], given["incarnation"])
    async with (
        Publisher(given["url"], Journal(given["journal"]), given["durability"]) as publisher,
        asyncio.TaskGroup() as group,
    ):

        async def perform(ask: Ask) -> None:
            try:
                await publisher.perform(ask)
            finally:
                free.release()

        for ask in load:
            if over.is_set():
                break
            await free.acquire()
            group.create_task(perform(ask))
            await asyncio.sleep(1 / given["rate"])


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
