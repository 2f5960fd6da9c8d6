"""A docker worker's type without a worker: runs are handed to it, what they say is kept."""

import asyncio
from collections.abc import Callable
from typing import Any

from dispatcher import codec
from dispatcher.ids import new_run_id
from dispatcher.models import HandOff, RunSpec
from workers.contract import Configuration
from workers.docker import DockerConfiguration, DockerWorker


class Said:
    """The services of one claim: what it says, in order, and answers that a test gives."""

    def __init__(self, pool: str) -> None:
        self.pool = pool
        self.lines: list[tuple[str, str]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.answer: Callable[..., Any] = lambda *_: None

    def tell(self, verb: str, *words: Any) -> None:
        if verb == "log":
            level, text = words
            self.lines += [(level, line) for line in text.split("\n")]

    async def ask(self, verb: str, *words: Any) -> Any:
        self.asked.append((verb, *words))
        found = self.answer(verb, *words)
        return await found if asyncio.iscoroutine(found) else found

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


class Configured:
    """Configures a run by its own job variables alone."""

    async def of_run(self, run: HandOff, spec: RunSpec) -> Configuration:
        return DockerConfiguration.model_validate(spec.job_variables or {})

    async def secrets(self) -> Any:
        raise NotImplementedError


def hand_off(token: int = 1, run_id: str | None = None, **spec: Any) -> HandOff:
    """A run as a worker is given it."""
    return HandOff(1, str(token), 1, 0, run_id or new_run_id(), codec.encode_spec(RunSpec(**spec)))


def docker_type(pool: str, address: str | None = None) -> tuple[DockerWorker, Said]:
    """A type that is attached to a pool, not opened yet."""
    kind, said = DockerWorker(address), Said(pool)
    kind.attach(lambda _: said, Configured())
    return kind, said
