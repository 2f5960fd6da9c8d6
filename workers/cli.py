"""`sluice worker`: start workers, and see and drain those that run."""

import os
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import App, Parameter

from dispatcher.cli.connecting import PoolOption, connected, service_settings
from dispatcher.cli.output import TABLE, Column, Output, say, show, show_one
from dispatcher.cli.serving import Health, open_probes, run_service, watch_signals
from dispatcher.cli.values import duration, optional_duration
from dispatcher.models import WorkerInfo
from dispatcher.names import AHEAD
from dispatcher.settings import Settings
from dispatcher.store import Durability

from .service import make_worker
from .worker import WorkerOptions, clean_host, run_worker

app = App(name="worker", help="Workers execute runs of one pool.")
app.command("workers.cli_install:install", name="install", help="Print a unit for a supervisor of services.")

Repeated = tuple[str, ...]
_COLUMNS: tuple[Column[WorkerInfo], ...] = (
    Column("WORKER", lambda worker: worker.id),
    Column("STATE", lambda worker: worker.state),
    Column("RUNS", lambda worker: f"{worker.held}/{worker.capacity}"),
    Column("TYPE", lambda worker: worker.type),
    Column("TAKES", lambda worker: takes(worker.lane)),
    Column("HOST", lambda worker: worker.host),
    Column("PID", lambda worker: worker.pid),
    Column("JOINED", lambda worker: worker.joined_at),
    Column("LEASE ENDS", lambda worker: worker.lease_ends_at, wide=True),
    Column("VERSION", lambda worker: worker.version, wide=True),
    Column("HOLDS", lambda worker: worker.runs, wide=True),
)


def takes(lane: str) -> str:
    """A worker's filter in words."""
    queues, labels, only = lane.split("|")
    words = [queues.replace(",", ", ") or "all queues"]
    own = [label for label in labels.split(",") if label and label != AHEAD]
    if own:
        words.append(f"{'only runs with' if only else 'also runs with'} labels {', '.join(own)}")
    if AHEAD in labels:
        words.append("prepares runs before they are due")
    return "; ".join(words)


def _id(worker: WorkerInfo) -> str:
    return worker.id


@app.command
def start(
    *,
    pool: PoolOption = None,
    queue: Annotated[Repeated, Parameter(help="Take runs of this queue only; repeatable.")] = (),
    match: Annotated[Repeated, Parameter(help="Take runs of queues with this prefix, `etl-*`; repeatable.")] = (),
    label: Annotated[Repeated, Parameter(help="What this worker has, `word` or `k=v`; repeatable.")] = (),
    only_labelled: Annotated[bool, Parameter(help="Refuse runs that want no label.")] = False,
    type: Annotated[str | None, Parameter(help="Its type; a missing pool is created with it.")] = None,
    limit: Annotated[int, Parameter(help="How many runs at once.")] = 100,
    name: Annotated[str | None, Parameter(help="Its name for people; the host's when not given.")] = None,
    lease: Annotated[str | None, Parameter(help="How long it may be silent before its runs are taken back.")] = None,
    grace: Annotated[str | None, Parameter(help="How long its runs may go on once it is to stop.")] = None,
    cancel_grace: Annotated[str, Parameter(help="How long a cancelled run may go on before it is killed.")] = "10s",
    prefetch_seconds: Annotated[
        float | None, Parameter(help="How long before they are due runs are prepared; its type's own if not given.")
    ] = None,
    run_once: Annotated[bool, Parameter(help="Take what is there once, execute it, end.")] = False,
    app: Annotated[str | None, Parameter(help="Functions, `package.module:attribute`, found from this folder.")] = None,
    health: Health = None,
) -> None:
    """Run a worker until SIGTERM.

    Then it takes no more, hands back what has not begun, gives its runs the grace and hands back those that still run:
    they go on elsewhere, no attempt is used. A second signal does so at once. Exit code 75: a plain function could not
    be ended, so this process had to; start it again.
    """
    settings = service_settings()
    options = WorkerOptions(
        pool=pool or settings.pool,
        queues=queue,
        match=match,
        labels=label,
        only_labelled=only_labelled,
        limit=limit,
        name=name or clean_host(),
        lease=optional_duration(lease) or settings.lease_seconds,
        run_once=run_once,
        grace=settings.grace_seconds if grace is None else duration(grace),
        cancel_grace=duration(cancel_grace),
        prefetch=prefetch_seconds,
        trace_parenting=settings.trace_parenting,
        durability=Durability(settings.durability, settings.durability_timeout),
    )
    run_service(settings, lambda: _work(settings, options, type, app, health))


async def _work(
    settings: Settings, options: WorkerOptions, type: str | None, app: str | None, health: str | None
) -> None:
    drain, is_forced = anyio.Event(), anyio.Event()
    async with await make_worker(settings.redis_url, options, type, app, Path.cwd()) as worker:
        worker.export()
        with open_probes(health or settings.health, live=lambda: True, ready=lambda: worker.is_ready):
            async with anyio.create_task_group() as group:

                def finish() -> None:
                    say(f"taking no more runs; what runs in {options.grace:g} s is handed back, at a second signal now")
                    drain.set()

                def force() -> None:
                    is_forced.set()
                    group.cancel_scope.cancel()

                group.start_soon(watch_signals, finish, force)
                await run_worker(worker, drain)
                group.cancel_scope.cancel()
    say(f"{worker.executed} runs executed")
    if is_forced.is_set():
        os._exit(0)  # threads must not keep it


@app.command
async def ls(*, pool: PoolOption = None, output: Output = TABLE) -> None:
    """List the live workers of a pool."""
    async with connected(pool) as client:
        await client.pools.get(client.pool)
        show(await client.workers.list(), _COLUMNS, output, _id)


@app.command
async def inspect(worker: str, /, *, pool: PoolOption = None, output: Output = TABLE) -> None:
    """Show a worker and what it holds."""
    async with connected(pool) as client:
        show_one(await client.workers.get(worker), _COLUMNS, output, _id)


@app.command
async def drain(*workers: str, pool: PoolOption = None) -> None:
    """Ask workers to take no more runs and end when theirs are over."""
    async with connected(pool) as client:
        for worker in workers:
            await client.workers.drain(worker)
            say(f"worker {worker} takes no more runs and ends when its own are over")


@app.command
async def stop(*workers: str, pool: PoolOption = None) -> None:
    """As SIGTERM: take no more runs, hand back what has not begun, and after the grace what still runs."""
    async with connected(pool) as client:
        for worker in workers:
            await client.workers.stop(worker)
            say(f"worker {worker} takes no more runs and ends after its grace at the latest")
