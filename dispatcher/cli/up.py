"""`sluice up`: a dispatcher, a scheduler, a worker and a server of their own in one process.

The services are found by the entry point group `sluice.services`; `worker` among them is one that is started only with
an application, and drained before the others end.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import anyio
from anyio.abc import TaskGroup
from cyclopts import Parameter

from ..client import Client
from ..embedded import EmbeddedServer, EmbeddedServerFailed
from ..errors import PoolExists
from ..settings import Settings, read_settings
from .endpoint import Endpoint, open_endpoint
from .output import say
from .serving import run_service, watch_signals

GROUP = "sluice.services"
WORKER = "worker"
Serve = Callable[..., Coroutine[Any, Any, None]]


def up(
    *,
    app: Annotated[str | None, Parameter(help="Functions for a worker, `package.module:attribute`.")] = None,
    pool: Annotated[str | None, Parameter(name=("--pool", "-p"), help="The worker's pool; made if missing.")] = None,
    limit: Annotated[int, Parameter(help="How many runs the worker executes at once.")] = 100,
    port: Annotated[int | None, Parameter(help="Listen on this port of 127.0.0.1 instead of a socket file.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Where data is kept; ./.sluice when not given.")] = None,
    health: Annotated[
        str | None, Parameter(help="HOST:PORT for /metrics and probes; SLUICE_HEALTH, else 127.0.0.1:4301 where free.")
    ] = None,
) -> None:
    """Run all of Sluice on this machine until Ctrl-C or SIGTERM. Data is kept and is there again the next time."""
    settings = read_settings({"data_dir": data_dir, "pool": pool})
    if "redis_url" in settings.model_fields_set:
        say("warning: SLUICE_REDIS_URL or a profile names a server: other commands will use that server, not this one")
    worker_options = {"app": app, "limit": limit} if app else None
    run_service(settings, partial(_serve_all, settings, port, health, worker_options))


async def _serve_all(
    settings: Settings, port: int | None, health: str | None, worker_options: dict[str, Any] | None
) -> None:
    services: dict[str, Serve] = {entry.name: entry.load() for entry in entry_points(group=GROUP)}
    found = services.pop(WORKER, None)
    worker = partial(found, **worker_options) if found and worker_options else None
    async with EmbeddedServer(settings.data_dir, port=port) as server:
        settings = settings.model_copy(update={"redis_url": server.url})
        with open_endpoint(settings, health) as endpoint:
            async with anyio.create_task_group() as group:
                drain = anyio.Event()
                group.start_soon(watch_signals, drain.set, group.cancel_scope.cancel)
                group.start_soon(_watch, server)
                group.start_soon(endpoint.pulse.beat)
                await _make_pool(settings)
                for serve in services.values():
                    await group.start(serve, settings)
                await _with_worker(group, settings, worker, endpoint, drain)


async def _with_worker(
    group: TaskGroup, settings: Settings, worker: Serve | None, endpoint: Endpoint, drain: anyio.Event
) -> None:
    """Start the worker, wait for the signal, let the worker finish, end the rest."""
    async with anyio.create_task_group() as working:
        if worker is not None:
            await working.start(partial(worker, settings, drain=drain))
        endpoint.is_started = True
        _announce(settings, endpoint.place, has_worker=worker is not None)
        await drain.wait()
        say("ending; the worker finishes its runs first, a second signal hands them back" if worker else "ending")
    group.cancel_scope.cancel()


async def _watch(server: EmbeddedServer) -> None:
    """Raise EmbeddedServerFailed when the server ends before we do."""
    code = await server.wait_ended()
    raise EmbeddedServerFailed(
        f"the server ended with code {code}", (server.data_dir / "server.log").read_text()[-600:]
    )


async def _make_pool(settings: Settings) -> None:
    async with Client(settings.redis_url) as client:
        with suppress(PoolExists):  # of another type: the worker will say so
            await client.pools.create(settings.pool, if_missing=True)


def _announce(settings: Settings, metrics: str, *, has_worker: bool) -> None:
    say(
        f"Sluice is up. Data is kept in {settings.data_dir.resolve()}.",
        f"Server:  {settings.redis_url}",
        f"         commands in {Path.cwd()} find it; elsewhere set SLUICE_REDIS_URL to it.",
        *([f"Metrics: {metrics}"] if metrics else []),
    )
    if has_worker:
        say(f"Worker:  takes runs of pool {settings.pool}.", "Next:    sluice run publish FUNCTION --watch")
    else:
        say(
            "Worker:  none, because no --app was given.",
            f"Next:    sluice worker start --pool {settings.pool} --app package.module:functions",
        )
