"""The process worker: a run is a command, a script or a Python entrypoint in processes of its own.

Nothing of a run outlives it: its processes are kept by keeper.py. They get no credentials of Redis; what they may ask
of Sluice goes over their line (line.py). A run's processes die with its worker, so it is never adopted.
"""

import asyncio
import errno
import json
import os
import signal
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from dispatcher import codec, tracing
from dispatcher.clock import Clock, SystemClock
from dispatcher.errors import InvalidInput
from dispatcher.models import HandOff, RunSpec

from .children import Child, Children, Order, StartFailed, clean_environment
from .contract import CannotStart, Configuration, Outcome, WorkerType
from .folders import Folder, Folders
from .outcomes import error_result, failure
from .output import Output
from .pulling import Manner, Puller, PullFailed
from .served import LineService
from .services import RunServices

_MOST_PARAMETERS = 100_000
"""Bytes of JSON: Linux takes 128 KB a variable."""
_LAST_OUTPUT_SECONDS = 2.0
_SCRIPT = ("sh", "-eu", "-c")
_NOTHING_LEFT = (errno.EAGAIN, errno.ENOMEM)


class ProcessConfiguration(Configuration):
    """Where and how a run's process is executed."""

    env: dict[str, str | None] = Field(
        default_factory=dict, description="Variables beside the worker's own; null takes one away."
    )
    working_dir: str | None = Field(None, description="Where it runs; if none, a folder that is removed at the end.")
    stream_output: bool = Field(default=True, description="Whether what it writes goes into the run's log.")
    grace_seconds: float | None = Field(
        None, ge=0, le=86_400, description="From SIGTERM to SIGKILL; the worker's cancel grace if none."
    )


@dataclass(frozen=True)
class Plan:
    """What a run says of itself, checked."""

    spec: RunSpec
    retry: list[Any] | None
    configuration: ProcessConfiguration


class Ready(NamedTuple):
    """A run before its processes: what it says, its folder, where they begin, where its code is."""

    plan: Plan
    folder: Folder
    place: str
    code: str


class Execution:
    """A run's processes while they are watched."""

    def __init__(self, child: Child, plan: Plan, folder: Folder, services: RunServices) -> None:
        loop = asyncio.get_running_loop()
        self.child, self.plan, self.folder = child, plan, folder
        says = plan.configuration.stream_output
        self.output = Output(loop, child.output, partial(services.tell, "log", "info") if says else None)
        self.errors = Output(loop, child.errors, partial(services.tell, "log", "error") if says else None)
        self.service = LineService(child.line, services) if child.line else None

    async def end(self) -> int:
        """Wait until nothing of it is left and all that it wrote is read; its exit code, negative for a signal."""
        status = await asyncio.shield(self.child.gone)
        # A pipe that was handed to a process of somebody else stays open: what was written is there.
        await asyncio.wait([self.output.ended, self.errors.ended], timeout=_LAST_OUTPUT_SECONDS)
        if self.service:
            await self.service.read_to_the_end()
        return os.waitstatus_to_exitcode(status)

    async def close(self) -> None:
        """Release what it had."""
        self.output.close()
        self.errors.close()
        if self.service:
            await self.service.close()
        self.child.close()


class ProcessWorker(WorkerType):
    """Executes commands, scripts and entrypoints in child processes."""

    type = "process"
    configuration = ProcessConfiguration

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._home, self._environment = str(Path.cwd()), clean_environment()
        self._folders = Folders()
        base = self._folders.base
        self._commands, self._entrypoints = Children(base), Children(base, python=True)
        self._puller = Puller(self._commands, self._environment)
        self._ready: dict[tuple[str, str], Ready] = {}
        self._executions: dict[tuple[str, str], Execution] = {}

    async def close(self) -> None:
        """End what starts and keeps processes."""
        await self._commands.close()
        await self._entrypoints.close()
        self._folders.close()

    async def prepare(self, run: HandOff) -> None:
        """Its folder, and its code in it."""
        self._ready[run.id, run.token] = await self._made_ready(run)

    async def _made_ready(self, run: HandOff) -> Ready:
        """Read what it says, and make its place. Raises CannotStart for what the run itself got wrong."""
        plan = await self._plan(run)
        wanted = _wanted_folder(plan)
        folder = self._folders.take(None if plan.spec.pull else wanted)
        if not plan.spec.pull:
            return Ready(plan, folder, folder.path, wanted or self._home)
        try:
            place = await self._pulled(run, plan, self.services(run), folder, wanted or folder.path)
        except BaseException:
            await self._folders.give_back(folder)
            raise
        return Ready(plan, folder, place, place)

    async def start(self, run: HandOff) -> str:
        """Start its process: host, pid and time. Raises CannotStart for what the run itself got wrong."""
        services = self.services(run)
        ready = self._ready.pop((run.id, run.token), None)
        plan, folder, place, code = ready or await self._made_ready(run)
        try:
            deadline = None if plan.spec.timeout is None else self._clock.now_ms() + round(1000 * plan.spec.timeout)
            order = Order(_words(plan.spec), self._variables(plan, run, services.pool, deadline), place)
            child = await (self._commands if order.words else self._entrypoints).start(order)
        except StartFailed as error:
            await self._folders.give_back(folder)
            raise CannotStart(_not_started(plan, place, error)) from error
        except BaseException:
            await self._folders.give_back(folder)
            raise
        execution = Execution(child, plan, folder, services)
        self._executions[run.id, run.token] = execution
        if execution.service:
            execution.service.begin(_facts(run, plan, code, services.pool, deadline))
        return f"{socket.gethostname()}:{child.started.result()}:{self._clock.now_ms()}"

    async def _plan(self, run: HandOff) -> Plan:
        """Read and check what the run says. Raises CannotStart."""
        spec = _spec(run)
        configuration = await self.configured(run, spec)
        if not isinstance(configuration, ProcessConfiguration):
            raise TypeError(f"a process cannot be configured by {type(configuration).__name__}")
        return Plan(spec, codec.retry_row(spec.retry), configuration)

    async def _pulled(self, run: HandOff, plan: Plan, services: RunServices, folder: Folder, start: str) -> str:
        """Where its pull steps leave it; what they say goes into its log, if its output does."""

        def say(text: str) -> None:
            if plan.configuration.stream_output:
                services.tell("log", "info", text)

        try:
            return await self._puller.pull(plan.spec.pull, folder.path, start, Manner(say, await self._secrets()))
        except PullFailed as error:
            raise CannotStart(error.outcome(plan.retry, run.attempt)) from None

    async def watch(self, run: HandOff, infrastructure: str) -> Outcome:  # noqa: ARG002 - it is in our hands
        """Wait for its end; past its timeout, end it."""
        execution = self._executions[run.id, run.token]
        try:
            try:
                async with asyncio.timeout(execution.plan.spec.timeout):
                    code = await execution.end()
            except TimeoutError:
                await self.stop(run, "", self.cancel_grace)
                await execution.end()
                timeout = execution.plan.spec.timeout
                return failure(execution.plan.retry, run.attempt, "timed_out", f"ran longer than its {timeout:g} s")
            return _outcome(run, execution, code)
        finally:
            if execution.child.gone.done():
                await self._forget(run)

    async def stop(self, run: HandOff, infrastructure: str, grace: float) -> None:  # noqa: ARG002 - see watch
        """Ask its processes to end, kill them after the grace; return when none is left."""
        if ready := self._ready.pop((run.id, run.token), None):
            await self._folders.give_back(ready.folder)
        execution = self._executions.get((run.id, run.token))
        if execution is None:
            return
        own = execution.plan.configuration.grace_seconds
        if execution.service:
            execution.service.cancel()
        execution.child.terminate()
        await asyncio.wait([execution.child.gone], timeout=grace if own is None else own)
        execution.child.kill()
        await execution.end()
        await self._forget(run)

    async def _forget(self, run: HandOff) -> None:
        if execution := self._executions.pop((run.id, run.token), None):
            await execution.close()
            await self._folders.give_back(execution.folder)

    def _variables(self, plan: Plan, run: HandOff, pool: str, deadline: int | None) -> dict[str, str]:
        """The worker's environment without its settings, what the run sets, and what Sluice says of the run."""
        trace = tracing.trace_environment(plan.spec.traceparent)
        wanted = {**self._environment, **trace, **plan.configuration.env, **_said(plan, run, pool, deadline)}
        found = {name: value for name, value in wanted.items() if value is not None}
        if bad := [name for name, value in found.items() if not name or "=" in name or "\0" in name + value]:
            raise _bad(f"{bad[0]!r} is no variable of an environment")
        return found


def _spec(run: HandOff) -> RunSpec:
    """Read what the run says. Raises CannotStart."""
    try:
        spec = codec.decode_spec(run.spec)
    except (InvalidInput, TypeError, ValueError) as error:
        raise _bad(str(error)) from error
    if spec.command is None and spec.entrypoint is None:
        raise _bad(
            f"a process worker executes a command or an entrypoint; this run names the function {spec.function!r}"
        )
    return spec


def _bad(text: str) -> CannotStart:
    return CannotStart(Outcome("failed", "invalid_parameters", error_result(text)))


def _wanted_folder(plan: Plan) -> str | None:
    wanted = plan.configuration.working_dir
    if wanted is not None and not Path(wanted).is_dir():
        text = f"there is no working_dir {wanted!r} on this worker: create it there, or leave it out"
        raise CannotStart(Outcome("failed", "not_found", error_result(text)))
    return wanted


def _words(spec: RunSpec) -> tuple[str, ...]:
    if isinstance(spec.command, str):
        return (*_SCRIPT, spec.command)
    return spec.command or ()


def _said(plan: Plan, run: HandOff, pool: str, deadline: int | None) -> dict[str, str]:
    """The variables by which a command knows its run."""
    try:
        parameters = json.dumps(plan.spec.parameters, ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise _bad(f"parameters: {error}") from error
    if plan.spec.command is not None and len(parameters) > _MOST_PARAMETERS:
        raise _bad(f"parameters of a command travel in its environment: {len(parameters):,} bytes are too many")
    said = {
        "SLUICE_RUN_ID": run.id, "SLUICE_POOL": pool, "SLUICE_CLAIM_TOKEN": run.token,
        "SLUICE_ATTEMPT": str(run.attempt),
    }  # fmt: skip
    if len(parameters) <= _MOST_PARAMETERS:
        said["SLUICE_PARAMETERS"] = parameters
    if deadline is not None:
        said["SLUICE_DEADLINE_MS"] = str(deadline)
    return said


def _facts(run: HandOff, plan: Plan, folder: str, pool: str, deadline: int | None) -> dict[str, Any]:
    """What an entrypoint's process is told first, see bootstrap.py."""
    return {
        "entrypoint": plan.spec.entrypoint, "folder": folder, "run_id": run.id,
        "pool": pool, "token": int(run.token or 0), "attempt": run.attempt, "parameters": plan.spec.parameters,
        "deadline_ms": deadline, "retry": plan.retry, "traceparent": tracing.here(plan.spec.traceparent),
    }  # fmt: skip


def _not_started(plan: Plan, place: str, error: StartFailed) -> Outcome:
    if not error.number:
        return Outcome("lost", "", error_result("the keeper of its processes was killed"))
    if error.number in _NOTHING_LEFT:
        return Outcome("crashed", "infrastructure", error_result(f"no process for it: {os.strerror(error.number)}"))
    words = _words(plan.spec)
    what = f"working_dir {place!r}" if error.what == "folder" or not words else f"command {words[0][:200]!r}"
    text = f"{what} could not be used on this worker: {os.strerror(error.number)}"
    return Outcome("failed", "not_found", error_result(text))


def _outcome(run: HandOff, execution: Execution, code: int) -> Outcome:
    """The end that its code told, or else how its process ended."""
    retry = execution.plan.retry
    if code == 0:
        told = execution.service.told if execution.service else Outcome("completed", "", b"\xc0")
        return told or failure(retry, run.attempt, "exit_code", "its process ended without a word, with exit code 0")
    if code < 0:
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        how, reason = f"its process was killed by {name}", "signal"
    else:
        how, reason = f"its process ended with exit code {code}", "exit_code"
    tail = execution.errors.tail
    return failure(retry, run.attempt, reason, f"{how}\n{tail}" if tail else how)
