"""Waiting for a run: its states and its log on stderr, its result on stdout, its end as the exit code."""

import json
from typing import TYPE_CHECKING, Annotated

import anyio
from cyclopts import Parameter

from ..clock import SystemClock
from ..errors import RunFailed
from .failures import end_code
from .logs import shown
from .output import Output, plain, say

if TYPE_CHECKING:
    from ..client import Client

Timeout = Annotated[str | None, Parameter(help="Wait no longer than this, e.g. 30s; the run goes on.")]
_LOOK_SECONDS = 0.25
_LAST_LINES_SECONDS = 5.0


async def watch_run(client: "Client", run_id: str, timeout: float | None, output: Output) -> int:
    """Follow a run to its end and return the exit code. Raises ResultTimeout, RunNotFound."""
    failure: RunFailed | None = None
    all_lines = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_tell, client, run_id)
        group.start_soon(_tell_lines, client, run_id, all_lines)
        try:
            await client.result(run_id, timeout)
        except RunFailed as error:
            failure = error
        except BaseException:
            group.cancel_scope.cancel()
            raise
        with anyio.move_on_after(_LAST_LINES_SECONDS):
            await all_lines.wait()
        group.cancel_scope.cancel()
    run = await client.get(run_id)
    say(f"{run.state}" + (f" ({run.reason})" if run.reason else ""))
    if output.format in ("json", "jsonl"):
        print(json.dumps(plain(run), indent=2 if output.format == "json" else None, ensure_ascii=False))
    elif failure is None:
        print(json.dumps(plain(run.result), ensure_ascii=False))
    else:
        say(f"error: {failure}")
    return end_code(run.state, run.reason)


async def _tell(client: "Client", run_id: str) -> None:
    """Say each state it is seen in, until cancelled."""
    clock, last = SystemClock(), ""
    while True:
        run = await client.get(run_id)
        if run.state.is_terminal:
            return
        if run.state != last:
            say(run.state + (f" on {run.worker}" if run.worker else ""))
        last = run.state
        await clock.sleep(_LOOK_SECONDS)


async def _tell_lines(client: "Client", run_id: str, all_lines: anyio.Event) -> None:
    """Say what the run says, to its end."""
    async for line in client.logs(run_id, follow=True):
        say(shown(line))
    all_lines.set()
