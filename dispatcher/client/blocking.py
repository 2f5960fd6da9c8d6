"""The client for code without an event loop: the same methods, blocking, safe to use from several threads."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ..models import LogLine, Published, Run, RunState
from .client import DEFAULT_URL, Client
from .drafting import Publish, RunOptions
from .intake import IntakeAdministration

P = ParamSpec("P")
T = TypeVar("T")


class Namespace:
    """`client.pools` and its like, blocking: each method is that of the async client."""

    def __init__(self, portal: BlockingPortal, target: Any) -> None:
        self._portal, self._target = portal, target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._portal.call(partial(getattr(self._target, name), *args, **kwargs))


class BlockingIntake:
    """`client.intake`, blocking."""

    def __init__(self, portal: BlockingPortal, target: IntakeAdministration) -> None:
        self.rejected = Namespace(portal, target.rejected)
        self.publishers = Namespace(portal, target.publishers)


def _call(method: Callable[Concatenate[Client, P], Awaitable[T]]) -> Callable[Concatenate["BlockingClient", P], T]:
    def blocking(self: "BlockingClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(partial(method, self.client, *args, **kwargs))

    blocking.__doc__ = method.__doc__
    return blocking


class BlockingClient:
    """As Client, over an event loop in a thread of its own. Use as a context manager."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        pool: str = "default",
        durability: str = "fast",
        durability_timeout: float = 5.0,
    ) -> None:
        make = partial(Client, url, pool=pool, durability=durability, durability_timeout=durability_timeout)
        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal())
            self.client = self._portal.call(make)
            self._closing = opening.pop_all()
        self.pools = Namespace(self._portal, self.client.pools)
        self.queues = Namespace(self._portal, self.client.queues)
        self.limits = Namespace(self._portal, self.client.limits)
        self.workers = Namespace(self._portal, self.client.workers)
        self.deployments = Namespace(self._portal, self.client.deployments)
        self.dead = Namespace(self._portal, self.client.dead)
        self.intake = BlockingIntake(self._portal, self.client.intake)

    def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run an async call on the client's loop and wait for it."""
        return self._portal.call(call)

    def publish(
        self,
        function: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        /,
        *,
        pool: str | None = None,
        **options: Unpack[RunOptions],
    ) -> Published:
        """As Client.publish."""
        return self.run(partial(self.client.publish, function, parameters, pool=pool, **options))

    def publish_many(self, runs: Iterable[Publish | str], *, pool: str | None = None) -> list[Published]:
        """As Client.publish_many."""
        return self.run(partial(self.client.publish_many, runs, pool=pool))

    def list(
        self,
        *,
        states: Iterable[RunState | str] = (),
        queue: str | None = None,
        limit: int = 50,
        pool: str | None = None,
    ) -> "list[Run]":
        """As Client.list."""
        return self.run(partial(self.client.list, states=states, queue=queue, limit=limit, pool=pool))

    def logs(
        self,
        run: Published | str,
        *,
        follow: bool = False,
        level: str = "debug",
        since: datetime | None = None,
        last: int | None = None,
        pool: str | None = None,
    ) -> Iterator[LogLine]:
        """As Client.logs."""
        lines = self.client.logs(run, follow=follow, level=level, since=since, last=last, pool=pool)
        try:
            while (line := self.run(partial(anext, lines, None))) is not None:
                yield line
        finally:
            self.run(lines.aclose)

    check = _call(Client.check)
    get = _call(Client.get)
    result = _call(Client.result)
    cancel = _call(Client.cancel)
    retry = _call(Client.retry)
    deploy = _call(Client.deploy)
    preview = _call(Client.preview)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for publishes under way, close all connections and end the thread."""
        self._portal.call(self.client.close)
        self._closing.close()
