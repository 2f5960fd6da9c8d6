"""Pull steps: what brings a run's code to the worker before it starts.

The last step says where the run is executed. Clones are in the run's own folder and go with it. Git is a child like
those of runs: cancelled, it is killed with all that it started. The token of a clone is in its environment only.
"""

import asyncio
import errno
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from dispatcher.deployments.pull_steps import GitClone, SecretReference, SetWorkingDirectory, Step, read_steps
from dispatcher.errors import InvalidInput
from dispatcher.job_template import Resolver
from dispatcher.redaction import HIDDEN, hide_passwords

from .children import Child, Children, Order, StartFailed
from .contract import Outcome
from .git import clone_words, git_environment
from .outcomes import error_result, failure
from .output import Output

_STEP_SECONDS = 600.0
_LAST_OUTPUT_SECONDS = 2.0
_PLACEHOLDER = re.compile(r"\{\{\s*([\w-]+)\.directory\s*\}\}")
Say = Callable[[str], None]


class PullFailed(Exception):
    """A step could not be done; `may_pass` when another attempt could be luckier."""

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        self._may_pass = may_pass
        super().__init__(text)

    def outcome(self, retry: list[Any] | None, attempt: int) -> Outcome:
        """How the claim ends: tried again by the run's retry policy where that may help."""
        text = hide_passwords(f"pull steps: {self}")
        if self._may_pass:
            return failure(retry, attempt, "pull_failed", text)
        return Outcome("failed", "pull_failed", error_result(text))


def secret_of(reference: SecretReference, secrets: Resolver) -> str:
    """The secret, as this worker has it and the pool allows. Raises PullFailed, which names the place only."""
    try:
        found = secrets(reference.secret_ref).strip()
    except InvalidInput as error:
        raise PullFailed(str(error)) from None
    if not found or not found.isprintable():
        raise PullFailed(f"the secret {reference.secret_ref!r} is empty or has more than one line")
    return found


class Manner(NamedTuple):
    """How a run's steps are done: to whom git's words are told, and who knows secrets."""

    say: Say
    secrets: Resolver


class Puller:
    """Executes pull steps. `seconds` is what a clone may take, `environment` what the worker's processes may know."""

    def __init__(self, children: Children, environment: Mapping[str, str], seconds: float = _STEP_SECONDS) -> None:
        self._children, self._environment, self.seconds = children, environment, seconds

    async def pull(self, steps: Sequence[Mapping[str, Any]], own: str, start: str, manner: Manner) -> str:
        """Where the run is executed: `start`, as the steps change it. Clones go into `own`. Raises PullFailed."""
        try:
            wanted = read_steps(steps)
        except InvalidInput as error:
            raise PullFailed(str(error)) from None
        return await Pull(self, own, start, manner).execute(wanted)

    async def clone(self, step: GitClone, target: str, manner: Manner) -> None:
        """Clone into a folder that is not there yet. Raises PullFailed."""
        token = secret_of(step.access_token, manner.secrets) if step.access_token else None
        environment = git_environment(self._environment, step, token)
        clean = partial(_without, _forms(token) if token else [])
        try:
            async with asyncio.timeout(self.seconds):
                for words in clone_words(step, target):
                    order = Order(words, environment, str(Path(target).parent))
                    await self._run(order, clean, lambda text: manner.say(clean(text)))
        except TimeoutError:
            raise PullFailed(f"cloning took longer than its {self.seconds:g} s", may_pass=True) from None

    async def _run(self, order: Order, clean: Callable[[str], str], say: Say) -> None:
        """One command of git. Raises PullFailed with what it said. Nothing of it goes on afterwards."""
        try:
            child = await self._children.start(order)
        except StartFailed as error:
            raise _not_started(error) from error
        loop = asyncio.get_running_loop()
        outputs = [Output(loop, child.output, say), Output(loop, child.errors, say)]
        try:
            status = await _ended(child)
            await asyncio.wait([output.ended for output in outputs], timeout=_LAST_OUTPUT_SECONDS)
        finally:
            for output in outputs:
                output.close()
            child.close()
        if code := os.waitstatus_to_exitcode(status):
            what = f"git {order.words[3 if order.words[1] == '-C' else 1]}"
            raise PullFailed(f"{what} ended with exit code {code}\n{clean(outputs[1].tail)}", may_pass=True)


def _forms(token: str) -> list[str]:
    """How a token may be written, the longest first."""
    password = token.partition(":")[2] or token
    return sorted({token, password, quote(password, safe="")}, key=len, reverse=True)


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return hide_passwords(text)


async def _ended(child: Child) -> int:
    """Its wait status. When we are cancelled, it is killed, and we return once nothing of it is left."""
    try:
        return await asyncio.shield(child.gone)
    except asyncio.CancelledError:
        child.kill()
        while not child.gone.done():
            try:
                await asyncio.wait([child.gone])
            except asyncio.CancelledError:
                continue
        raise


def _not_started(error: StartFailed) -> PullFailed:
    if error.number == errno.ENOENT and error.what == "command":
        return PullFailed("there is no `git` on this worker: install it there")
    return PullFailed(f"git could not be started: {error}", may_pass=True)


class Pull:
    """The steps of one run."""

    def __init__(self, puller: Puller, own: str, start: str, manner: Manner) -> None:
        self._puller, self._own, self._manner = puller, own, manner
        self._place = start
        self._clones: dict[str, str] = {}

    async def execute(self, steps: Sequence[Step]) -> str:
        """Do them in order; the folder that the last one leaves. Raises PullFailed."""
        for number, step in enumerate(steps):
            if isinstance(step, GitClone):
                target = str(Path(self._own, step.folder_name))
                if target in self._clones.values():
                    target += f"-{number}"
                await self._puller.clone(step, target, self._manner)
                self._clones[step.id or f"step {number}"] = self._place = target
            else:
                self._place = self._wanted(step)
        return self._place

    def _wanted(self, step: SetWorkingDirectory) -> str:
        def directory(found: re.Match[str]) -> str:
            if found[1] not in self._clones:
                raise PullFailed(f"{found[0]!r}: there is no step with the id {found[1]!r} before it")
            return self._clones[found[1]]

        wanted = Path(self._place, _PLACEHOLDER.sub(directory, step.directory))
        if not wanted.is_dir():
            raise PullFailed(f"there is no directory {str(wanted)!r} on this worker")
        return str(wanted)
