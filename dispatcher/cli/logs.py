"""`sluice run logs`: what a run said, line by line; and how such a line looks on a terminal."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from cyclopts import Parameter

from ..clock import SystemClock
from ..errors import InvalidInput
from ..models import LogLine
from ..redaction import without_controls
from .connecting import PoolOption, connected
from .failures import ExitCode, end_code
from .output import TABLE, Output, plain
from .values import moment

Level = Literal["debug", "info", "warning", "error"]
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def shown(line: LogLine) -> str:
    """A line as people read it: time (UTC), level, text without colours and with control characters written out."""
    at = line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{at}  {line.level:<7}  {_text(line)}"


async def logs(
    run: str,
    /,
    *,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), help="Wait for more, to the run's end.")] = False,
    lines: Annotated[int | None, Parameter(name=("--lines", "-n"), help="Of those there, the last so many.")] = None,
    level: Annotated[Level, Parameter(help="Lines of this level and above.")] = "debug",
    since: Annotated[str | None, Parameter(help="Not older than this, e.g. 10m, or an instant.")] = None,
    pool: PoolOption = None,
    output: Output = TABLE,
) -> int:
    """Print the log of a run, all its attempts: time, level, text. `-q` prints the text alone.

    With --follow it ends with the run: 0 completed, 10 failed, 11 cancelled, 12 crashed, 13 timed out, 14 expired.
    """
    if follow and output.format == "json":
        raise InvalidInput("-o json is one list, which never ends with --follow: take -o jsonl")
    async with connected(pool) as client:
        found = client.logs(run, follow=follow, level=level, since=_since(since), last=lines)
        await _print(found, output, at_once=follow)
        if not follow:
            return ExitCode.OK
        ended = await client.get(run)
        return end_code(ended.state, ended.reason)


async def _print(lines: AsyncIterator[LogLine], output: Output, *, at_once: bool) -> None:
    if output.format == "json" and not output.quiet:
        print(json.dumps([plain(line) async for line in lines], indent=2, ensure_ascii=False))
        return
    async for line in lines:
        print(_line(line, output), flush=at_once)


def _line(line: LogLine, output: Output) -> str:
    if output.quiet or output.format == "name":
        return _text(line)
    if output.format == "jsonl":
        return json.dumps(plain(line), ensure_ascii=False)
    return shown(line)


def _text(line: LogLine) -> str:
    return without_controls(_COLOUR.sub("", line.text), keep_lines=True)


def _since(text: str | None) -> datetime | None:
    """An instant, or so long ago."""
    if text is None:
        return None
    found = moment(text)
    if isinstance(found, datetime):
        return found
    try:
        return datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC) - timedelta(seconds=found)
    except OverflowError:
        return None
