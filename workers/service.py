"""The worker as a service: its type is found, its pool is checked, it runs until it is told to drain."""

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from dispatcher.errors import InvalidInput, PoolNotFound, WorkerTypeMismatch
from dispatcher.log import get_logger
from dispatcher.settings import Settings
from dispatcher.store import Durability, Store

from .contract import WorkerType
from .worker import Worker, WorkerOptions, run_worker

GROUP = "sluice.workers"
_log = get_logger("worker")


def worker_types() -> dict[str, EntryPoint]:
    """The worker types that are installed, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def make_type(name: str, app: str | None, app_dir: Path) -> WorkerType:
    """A worker type for an application. Raises InvalidInput, with the types there are, or why it has no use for it."""
    known = worker_types()
    if name not in known:
        raise InvalidInput(f"there is no worker type {name!r} here; known: {', '.join(sorted(known)) or 'none'}")
    found = _loaded(known[name])
    if not (isinstance(found, type) and issubclass(found, WorkerType)):
        raise InvalidInput(f"{known[name].value} is no worker type: it must subclass workers.WorkerType")
    return found.for_app(app, str(app_dir))


def _loaded(entry: EntryPoint) -> object:
    """What the entry point names. Raises InvalidInput, with the install command where something is not installed."""
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        wanted = entry.dist.name if entry.dist else "sluice-dispatcher"
        if entry.extras:
            wanted += f"[{','.join(entry.extras)}]"
        text = f"worker type {entry.name!r} needs {error.name!r}, which is not installed: pip install '{wanted}'"
        raise InvalidInput(text) from error
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"worker type {entry.name!r} cannot be loaded from {entry.value}: {error}") from error


async def open_type(store: Store, pool: str, wanted: str | None, app: str | None, app_dir: Path) -> WorkerType:
    """The worker type for a pool; a pool that is missing is created when a type is wanted.

    Raises PoolNotFound, WorkerTypeMismatch, InvalidInput, ServerError.
    """
    try:
        found = (await store.pools.get(pool)).type
    except PoolNotFound as error:
        if wanted is None:
            error.add_note("or let this worker create it: --type function")
            raise
        kind = make_type(wanted, app, app_dir)
        await store.pools.create(pool, wanted, ensure=True)
        _log.info("pool.created", pool=pool, type=wanted)
        return kind
    if wanted not in (None, found):
        raise WorkerTypeMismatch(pool, found, wanted)
    return make_type(found, app, app_dir)


async def make_worker(url: str, options: WorkerOptions, wanted: str | None, app: str | None, app_dir: Path) -> Worker:
    """A worker that fits its pool and a server that is fit. Raises what open_type raises."""
    async with Store(url) as store:
        for warning in await store.link.check():
            _log.warning("server.unsafe", warning=warning)
        kind = await open_type(store, options.pool, wanted, app, app_dir)
    return Worker(url, kind, options)


async def serve(
    settings: Settings,
    *,
    app: str | None = None,
    limit: int = 100,
    drain: anyio.Event | None = None,
    task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
) -> None:
    """Run a worker of the settings' pool until `drain` is set and its runs are over; cancelling hands them back."""
    options = WorkerOptions(
        pool=settings.pool, limit=limit, lease=settings.lease_seconds, grace=settings.grace_seconds,
        trace_parenting=settings.trace_parenting,
        durability=Durability(settings.durability, settings.durability_timeout),
    )  # fmt: skip
    worker = await make_worker(settings.redis_url, options, None, app, Path.cwd())
    worker.export()
    async with worker:
        task_status.started()
        await run_worker(worker, drain or anyio.Event())
