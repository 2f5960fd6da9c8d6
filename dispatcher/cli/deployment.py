"""`sluice deployment`: what is run, where, when and how often at once, under a name."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from ..errors import DecodeError
from .asking import DryRun, Yes, may
from .connecting import NewPool, OnlyPool, PoolOption, Traceparent, connected
from .describing import Description, Repeated
from .export import export
from .failures import ExitCode
from .inspecting import NoInspect, checked_changes, inspected
from .listing import show_list, what_can_be_read
from .output import TABLE, Column, Output, say, show_one
from .values import instant, job_variables, moment, optional_duration, parameters
from .watching import watch_run

if TYPE_CHECKING:
    from ..deployments import Deployment, Stored

app = App(name="deployment", help="Deployments: create, change, move, run and remove them.")
app.command(export)

_NONE = Description()


def _does(document: "Deployment") -> str:
    from ..models import RunSpec
    from .run import what

    return what(RunSpec(function=document.function, command=document.command, entrypoint=document.entrypoint))


def _next(stored: "Stored") -> Any:
    return min((state.next_at for state in stored.schedules if state.next_at), default=None)


def _limit(document: "Deployment") -> str | None:
    concurrency = document.concurrency
    return f"{concurrency.limit}, {concurrency.when_full}" if concurrency else None


_COLUMNS: tuple[Column["Stored"], ...] = (
    Column("DEPLOYMENT", lambda stored: stored.name),
    Column("POOL", lambda stored: stored.pool),
    Column("QUEUE", lambda stored: stored.document.queue),
    Column("DOES", lambda stored: _does(stored.document)),
    Column("SCHEDULES", lambda stored: len(stored.document.schedules) or None),
    Column("NEXT", _next),
    Column("STATE", lambda stored: "paused" if stored.document.paused else "ready"),
    Column("VERSION", lambda stored: stored.version, wide=True),
    Column("LIMIT", lambda stored: _limit(stored.document), wide=True),
    Column("TAGS", lambda stored: stored.document.tags, wide=True),
    Column("UPDATED", lambda stored: stored.updated_at, wide=True),
)
_DETAILS: tuple[Column["Stored"], ...] = (
    *_COLUMNS,
    Column("CREATED", lambda stored: stored.created_at),
    Column("DOCUMENT", lambda stored: stored.document.document()),
)


def _name(stored: "Stored") -> str:
    return stored.name


@app.command
async def create(
    name: str, /, *, pool: PoolOption = None, of: Description = _NONE,
    paused: Annotated[bool, Parameter(help="Its schedules rest until it is resumed.")] = False,
    no_inspect: NoInspect = False,
) -> None:  # fmt: skip
    """Create a deployment; its schedules begin at once. An entrypoint is imported, to see what it takes."""
    from ..deployments import read_deployment

    async with connected(pool) as client:
        document = read_deployment({"name": name, "pool": client.pool, "paused": paused, **of.changes()})
        document = await inspected(document, no_inspect=no_inspect)
        await client.deployments.put(document, expect=0)
    say(f"deployment {name!r} is there, in pool {document.pool}")


@app.command
async def ls(*, pool: OnlyPool = None, output: Output = TABLE) -> int:
    """List deployments, of all pools or one."""
    async with connected(pool) as client:
        found, error = await what_can_be_read(client.deployments.list(pool=pool))
    return show_list(found, error, _COLUMNS, output, _name)


@app.command
async def inspect(name: str, /, *, output: Output = TABLE) -> None:
    """Show all that is known of a deployment."""
    async with connected() as client:
        show_one(await client.deployments.get(name), _DETAILS, output, _name)


@app.command
async def update(name: str, /, *, pool: NewPool = None, of: Description = _NONE, no_inspect: NoInspect = False) -> None:
    """Change what is given; `--pool` moves it, with its schedules where they are. Lists are replaced whole."""
    async with connected() as client:
        changes = of.changes()
        stored = await client.deployments.get(name)
        if changes:
            changes = await checked_changes(client, stored.document, changes, pool, no_inspect=no_inspect)
        if pool is not None:
            stored = await client.deployments.move(name, pool)
        if changes:
            stored = await client.deployments.update(name, **changes)
    say(f"deployment {name!r} has version {stored.version}, in pool {stored.pool}")


@app.command
async def run(
    name: str, /, *,
    param: Annotated[Repeated, Parameter(help="name=value, the value JSON or else text; repeatable.")] = (),
    params_json: Annotated[str | None, Parameter(help="All parameters as one JSON object; `-` reads stdin.")] = None,
    variable: Annotated[Repeated, Parameter(name="--job-variable", help="name=value for its worker; repeatable.")] = (),
    env: Annotated[Repeated, Parameter(help="NAME=value for its process; repeatable.")] = (),
    at: Annotated[str | None, Parameter(help="Not before this instant, ISO 8601 with zone.")] = None,
    delay: Annotated[str | None, Parameter(name="--in", help="Not before this time is over, e.g. 5m.")] = None,
    expires: Annotated[str | None, Parameter(help="Not started by then: it expires. A duration or an instant.")] = None,
    idempotency_key: Annotated[str | None, Parameter(help="Another publish with this key is this one.")] = None,
    run_name: Annotated[str | None, Parameter(help="A name for people.")] = None,
    traceparent: Traceparent = None,
    tag: Annotated[Repeated, Parameter(help="A word to find it by, instead of the deployment's; repeatable.")] = (),
    watch: Annotated[bool, Parameter(help="Wait for its end: prints the result, exits by how it ended.")] = False,
    output: Output = TABLE,
) -> int:  # fmt: skip
    """Publish a run of a deployment and print its id."""
    given: dict[str, Any] = {
        "at": None if at is None else instant(at),
        "delay": optional_duration(delay),
        "expires": None if expires is None else moment(expires),
        "idempotency_key": idempotency_key,
        "name": run_name,
        "tags": tag or None,
        "traceparent": traceparent or None,
        "job_variables": job_variables(variable, env, None) or None,
    }
    options = {key: value for key, value in given.items() if value is not None}
    async with connected() as client:
        published = await client.deployments.run(name, parameters(param, params_json), **options)
        if not published.is_new:
            say("it was published before, with this idempotency key")
        if watch:
            say(f"run {published.id}")
            client.pool = published.pool
            return await watch_run(client, published.id, None, output)
        if output.format in ("json", "jsonl"):
            show_one(published._asdict(), (), output, lambda row: str(row["id"]))
        else:
            print(published.id)
    return ExitCode.OK


@app.command
async def pause(*names: str) -> None:
    """Let the schedules of deployments rest; runs by hand go on."""
    async with connected() as client:
        for name in names:
            await client.deployments.pause(name)
            say(f"deployment {name!r} is paused")


@app.command
async def resume(*names: str) -> None:
    """Let the schedules of deployments go on, with their next instant."""
    async with connected() as client:
        for name in names:
            await client.deployments.resume(name)
            say(f"deployment {name!r} goes on")


@app.command
async def delete(*names: str, yes: Yes = False, dry_run: DryRun = False) -> int:
    """Remove deployments and their schedules; their runs go on."""
    async with connected() as client:
        for name in names:
            with suppress(DecodeError):  # it is there
                await client.deployments.get(name)
        what = f"delete deployment{'s' * (len(names) != 1)} {', '.join(names)}"
        if not may(what, yes=yes, dry_run=dry_run):
            return ExitCode.OK
        for name in names:
            await client.deployments.delete(name)
            say(f"deployment {name!r} is gone")
    return ExitCode.OK
