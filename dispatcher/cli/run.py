"""`sluice run`: publish runs and see what became of them."""

import shlex
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from ..models import RetryPolicy, Run, RunSpec
from .asking import DryRun, Yes, may
from .connecting import PoolOption, Traceparent, connected
from .failures import ExitCode
from .listing import show_list, what_can_be_read
from .logs import logs
from .output import TABLE, Column, Output, say, show_one, span
from .values import duration, instant, job_variables, moment, optional_duration, parameters
from .watching import Timeout, watch_run

app = App(name="run", help="Runs: publish, list, inspect, watch and cancel them.")
app.command(logs)

Repeated = tuple[str, ...]
RunIds = Annotated[tuple[str, ...], Parameter(name="RUN", help="Ids of runs.")]


def _seconds(run: Run) -> str | None:
    if run.started_at and run.finished_at:
        return f"{(run.finished_at - run.started_at).total_seconds():.3f} s"
    return None


def what(spec: RunSpec) -> str:
    """What a run does: its function, entrypoint or command."""
    if spec.command is not None:
        return spec.command if isinstance(spec.command, str) else shlex.join(spec.command)
    return spec.function or spec.entrypoint or ""


COLUMNS: tuple[Column[Run], ...] = (
    Column("RUN", lambda run: run.id),
    Column("STATE", lambda run: run.state.value),
    Column("DOES", lambda run: what(run.spec)),
    Column("QUEUE", lambda run: run.queue),
    Column("PUBLISHED", lambda run: run.published_at),
    Column("TOOK", _seconds),
    Column("REASON", lambda run: run.reason),
    Column("WORKER", lambda run: run.worker, wide=True),
    Column("ATTEMPT", lambda run: run.attempt, wide=True),
    Column("CRASHES", lambda run: run.crashes, wide=True),
    Column("KEYS", lambda run: run.keys, wide=True),
    Column("LABELS", lambda run: run.labels, wide=True),
)
_DETAILS: tuple[Column[Run], ...] = (
    *COLUMNS,
    Column("POOL", lambda run: run.pool),
    Column("NAME", lambda run: run.spec.name),
    Column("TAGS", lambda run: run.spec.tags),
    Column("PARENT", lambda run: run.spec.parent),
    Column("TRACE", lambda run: run.spec.traceparent),
    Column("RETRY OF", lambda run: run.spec.retry_of),
    Column("DEPLOYMENT", lambda run: run.spec.deployment),
    Column("SCHEDULE", lambda run: run.spec.schedule),
    Column("VARIABLES", lambda run: run.spec.job_variables),
    Column("PARAMETERS", lambda run: run.spec.parameters),
    Column("DUE", lambda run: run.scheduled_for),
    Column("TIMEOUT", lambda run: None if run.spec.timeout is None else span(run.spec.timeout)),
    Column("STARTED", lambda run: run.started_at),
    Column("FINISHED", lambda run: run.finished_at),
    Column("PROGRESS", lambda run: run.progress),
    Column("RESULT", lambda run: run.result),
    Column("ERROR", lambda run: run.error),
)


def _id(run: Any) -> str:
    return str(run.id)


@app.command
async def publish(
    function: Annotated[str | None, Parameter(help="A function that is registered with the workers.")] = None,
    /,
    *,
    command: Annotated[str | None, Parameter(help="A command instead, its words as in a shell.")] = None,
    shell: Annotated[str | None, Parameter(help="A script for `sh -eu -c` instead.")] = None,
    entrypoint: Annotated[
        str | None, Parameter(help="`file.py:function` or `package.module:function` instead.")
    ] = None,
    env: Annotated[Repeated, Parameter(help="NAME=value for its process; repeatable.")] = (),
    working_dir: Annotated[str | None, Parameter(help="Where its process runs.")] = None,
    variable: Annotated[Repeated, Parameter(name="--job-variable", help="name=value for its worker; repeatable.")] = (),
    parent: Annotated[str | None, Parameter(help="The run it follows from.")] = None,
    traceparent: Traceparent = None,
    param: Annotated[Repeated, Parameter(help="name=value, the value JSON or else text; repeatable.")] = (),
    params_json: Annotated[str | None, Parameter(help="All parameters as one JSON object; `-` reads stdin.")] = None,
    pool: PoolOption = None,
    queue: Annotated[str, Parameter(help="The work queue; a new name makes one.")] = "default",
    label: Annotated[Repeated, Parameter(help="What its worker must have; repeatable.")] = (),
    key: Annotated[Repeated, Parameter(help="A concurrency key, `kind:value`; repeatable.")] = (),
    at: Annotated[str | None, Parameter(help="Not before this instant, ISO 8601 with zone.")] = None,
    delay: Annotated[str | None, Parameter(name="--in", help="Not before this time is over, e.g. 5m.")] = None,
    expires: Annotated[str | None, Parameter(help="Not started by then: it expires. A duration or an instant.")] = None,
    retries: Annotated[int, Parameter(help="How often it is tried again when it fails.")] = 0,
    retry_delay: Annotated[str | None, Parameter(help="Before the first retry; it doubles each time.")] = None,
    timeout: Annotated[str | None, Parameter(help="It fails when it runs longer than this.")] = None,
    idempotency_key: Annotated[
        str | None, Parameter(help="Another publish with this key within a day is this.")
    ] = None,
    durability: Annotated[
        Literal["fast", "fsync", "replicated"] | None, Parameter(help="What it waits for: memory, disk or a replica.")
    ] = None,
    name: Annotated[str | None, Parameter(help="A name for people.")] = None,
    tag: Annotated[Repeated, Parameter(help="A word to find it by; repeatable.")] = (),
    watch: Annotated[bool, Parameter(help="Wait for its end: prints the result, exits by how it ended.")] = False,
    output: Output = TABLE,
) -> int:
    """Publish a run and print its id."""
    from ..client import RunOptions

    variables = job_variables(variable, env, working_dir)
    options = RunOptions(
        command=command if shell is None else shell,
        shell=shell is not None,
        entrypoint=entrypoint,
        job_variables=variables or None,
        parent=parent,
        traceparent=traceparent or None,
        queue=queue,
        labels=label,
        keys=key,
        at=None if at is None else instant(at),
        delay=optional_duration(delay),
        expires=None if expires is None else moment(expires),
        timeout=optional_duration(timeout),
        idempotency_key=idempotency_key,
        durability=durability,
        name=name,
        tags=tag,
        retry=RetryPolicy(retries) if retry_delay is None else RetryPolicy(retries, delay=duration(retry_delay)),
    )
    async with connected(pool) as client:
        run = await client.publish(function, parameters(param, params_json), **options)
        if not run.is_new:
            say("it was published before, with this idempotency key")
        if watch:
            say(f"run {run.id}")
            return await watch_run(client, run.id, None, output)
        if output.format in ("json", "jsonl"):
            show_one(run._asdict(), (), output, _id)
        else:
            print(run.id)
    return ExitCode.OK


@app.command
async def ls(
    *,
    pool: PoolOption = None,
    state: Annotated[Repeated, Parameter(help="Those in this state; repeatable.")] = (),
    queue: Annotated[str | None, Parameter(help="Those of this queue.")] = None,
    limit: Annotated[int, Parameter(help="At most so many.")] = 50,
    output: Output = TABLE,
) -> int:
    """List runs: running, queued, scheduled, then finished ones, newest first."""
    async with connected(pool) as client:
        await client.pools.get(client.pool)
        runs, error = await what_can_be_read(client.list(states=state, queue=queue, limit=limit))
    return show_list(runs, error, COLUMNS, output, _id)


@app.command
async def inspect(run: str, /, *, pool: PoolOption = None, output: Output = TABLE) -> None:
    """Show all that is known of a run."""
    async with connected(pool) as client:
        show_one(await client.get(run), _DETAILS, output, _id)


@app.command
async def watch(run: str, /, *, pool: PoolOption = None, timeout: Timeout = None, output: Output = TABLE) -> int:
    """Wait for a run's end, print its result, exit by how it ended.

    0 completed, 10 failed, 11 cancelled, 12 crashed, 13 timed out, 14 expired; 124 when --timeout was over first.
    """
    async with connected(pool) as client:
        return await watch_run(client, run, optional_duration(timeout), output)


@app.command
async def retry(
    run: str, /, *, pool: PoolOption = None,
    watch: Annotated[bool, Parameter(help="Wait for its end: prints the result, exits by how it ended.")] = False,
) -> int:  # fmt: skip
    """Publish a run that is over once more; prints the id of the new one, which names the old one."""
    async with connected(pool) as client:
        again = await client.retry(run)
        if watch:
            say(f"run {again.id}")
            return await watch_run(client, again.id, None, TABLE)
        print(again.id)
    return ExitCode.OK


@app.command
async def cancel(
    *runs: str, pool: PoolOption = None, yes: Yes = False, dry_run: DryRun = False,
    children: Annotated[bool, Parameter(help="And all runs that they published, in any pool, and theirs.")] = False,
) -> int:  # fmt: skip
    """Cancel runs: queued ones end at once, running ones are asked to."""
    if not may(f"cancel {len(runs)} run{'s' * (len(runs) != 1)}", yes=yes, dry_run=dry_run):
        return ExitCode.OK
    async with connected(pool) as client:
        return _report(runs, await client.cancel(*dict.fromkeys(runs), children=children))


@app.command
def schema() -> None:
    """Print the JSON Schema of a run as any program may publish it by XADD."""
    import json

    from ..intake import json_schema

    print(json.dumps(json_schema(), indent=2))


def _report(runs: Sequence[str], statuses: Sequence[str]) -> int:
    words = {"already": "is over already", "missing": "is not known"}
    for run, status in zip(dict.fromkeys(runs), statuses, strict=True):
        say(f"run {run} {words.get(status, f'is {status}')}")
    if "missing" in statuses:
        return ExitCode.NOT_FOUND
    return ExitCode.CONFLICT if "already" in statuses else ExitCode.OK
