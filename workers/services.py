"""What a worker offers to the code of a run, whatever kind of infrastructure the code runs in.

The verbs are those of dispatcher.running.Backend. The worker's session provides it (assistance.py); a type reaches it
by `WorkerType.services`.
"""

from typing import Any, Protocol

from dispatcher.errors import InvalidInput
from dispatcher.log import get_logger
from dispatcher.models import HandOff

_log = get_logger("worker")


class RunServices(Protocol):
    """For one claim."""

    @property
    def pool(self) -> str:
        """The pool of the run."""
        ...

    def tell(self, verb: str, *words: Any) -> None:
        """`log` (level, text) or `progress` (share or None, text). From any thread. Raises InvalidInput for others."""
        ...

    async def ask(self, verb: str, *words: Any) -> Any:
        """`publish` or `wait`, see running.Backend. On the worker's loop. Raises InvalidInput for others."""
        ...


class NoServices:
    """For a type without a worker: lines go to our own log, progress is dropped, anything else is refused."""

    pool = ""

    def __init__(self, run: HandOff) -> None:
        self._run = run

    def tell(self, verb: str, *words: Any) -> None:
        """Show a line at debug level; drop progress."""
        if verb == "log":
            _log.debug("run.said", run_id=self._run.id, text=words[-1])

    async def ask(self, verb: str, *words: Any) -> Any:  # noqa: ARG002 - whatever it is
        """Raise InvalidInput."""
        raise InvalidInput(f"this run has no worker that could {verb!r} for it")
