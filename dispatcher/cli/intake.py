"""`sluice intake`: what came by plain XADD and was rejected, and publishers with a stream of their own."""

from collections import Counter
from typing import Annotated

from cyclopts import App, Parameter

from ..errors import InvalidInput
from ..store.intake import Rejected
from .connecting import PoolOption, connected
from .failures import ExitCode
from .output import TABLE, Column, Output, say, show

app = App(name="intake", help="Publishing by plain XADD: rejected entries, and publishers with a stream of their own.")
rejected = App(name="rejected", help="Entries that became no runs, each with its reason.")
publishers = App(name="publishers", help="Publishers with a stream of their own, `publish:NAME`.")
app.command(rejected)
app.command(publishers)

_COLUMNS: tuple[Column[Rejected], ...] = (
    Column("ENTRY", lambda entry: entry.id),
    Column("STREAM", lambda entry: entry.stream),
    Column("AT", lambda entry: entry.at),
    Column("SIZE", lambda entry: entry.size),
    Column("REASON", lambda entry: entry.reason),
    Column("ITS ID", lambda entry: entry.entry, wide=True),
    Column("FORMAT", lambda entry: entry.format, wide=True),
    Column("REPLY", lambda entry: entry.reply, wide=True),
    Column("HEAD", lambda entry: entry.head.decode(errors="backslashreplace"), wide=True),
)
_WORDS = {
    "retried": "goes back to its stream",
    "missing": "is not there: never was, was retried before, or was pushed out by newer ones",
    "cut": "cannot be retried: only its first 4 KB were kept; publish it again",
    "odd": "cannot be retried: it is no run; publish it again",
    "no_publisher": "cannot be retried: its stream is not read any more; `sluice intake publishers add` its publisher",
}
_ALL = 1_000_000


def _id(entry: Rejected) -> str:
    return entry.id


@rejected.command(name="ls")
async def list_rejected(
    *,
    pool: PoolOption = None,
    limit: Annotated[int, Parameter(help="At most so many.")] = 50,
    output: Output = TABLE,
) -> None:
    """List rejected entries, oldest first; `-o wide` shows what they hold."""
    async with connected(pool) as client:
        found = await client.intake.rejected.list(limit)
    if output.format in ("json", "jsonl"):
        show([entry._asdict() for entry in found], (), output, lambda entry: str(entry["id"]))
    else:
        show(found, _COLUMNS, output, _id)


@rejected.command
async def retry(
    *entries: Annotated[str, Parameter(help="Ids that `ls` shows.")],
    pool: PoolOption = None,
    all: Annotated[bool, Parameter(name="--all", help="All there are.")] = False,
) -> int:
    """Put rejected entries back on their streams, to be read once more."""
    if bool(entries) == all:
        raise InvalidInput("give ids of rejected entries, or --all")
    async with connected(pool) as client:
        ids = [entry.id for entry in await client.intake.rejected.list(_ALL)] if all else list(dict.fromkeys(entries))
        statuses = await client.intake.rejected.retry(*ids)
    for entry, status in zip(ids, statuses, strict=True):
        if status != "retried" or not all:
            say(f"entry {entry} {_WORDS[status]}")
    counts = Counter(statuses)
    say(f"{counts['retried']} of {len(ids)} retried")
    if counts["missing"]:
        return ExitCode.NOT_FOUND
    return ExitCode.OK if counts["retried"] == len(ids) else ExitCode.CONFLICT


@publishers.command(name="ls")
async def list_publishers(*, pool: PoolOption = None, output: Output = TABLE) -> None:
    """List publishers with a stream of their own."""
    async with connected(pool) as client:
        names = await client.intake.publishers.list()
    show(names, (Column("PUBLISHER", str),), output, str)


@publishers.command
async def add(name: str, /, *, pool: PoolOption = None) -> None:
    """Give a publisher a stream of its own."""
    async with connected(pool) as client:
        await client.intake.publishers.add(name)
        say(f"sluice:{{{client.pool}}}:publish:{name} is read from now on")


@publishers.command(name="rm")
async def remove(name: str, /, *, pool: PoolOption = None) -> None:
    """Take a publisher's stream away; refused while it holds unread entries."""
    async with connected(pool) as client:
        await client.intake.publishers.remove(name)
    say(f"the stream of {name} is not read any more")
