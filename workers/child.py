"""The child's side of isolation.py, started by path: one attempt of one run, then the end."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from typing import Any

from dispatcher import codec, tracing
from dispatcher.models import HandOff, RetryPolicy, RunSpec
from workers.app import load_functions
from workers.contract import Outcome
from workers.function import FunctionWorker
from workers.line import ProcessEnd


def _end_with_parent(parent: int) -> None:
    """Die when the worker dies; it may have died before we asked."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class _Services:
    """What the run's code may ask, asked over the line. It is a RunServices."""

    def __init__(self, line: ProcessEnd, pool: str) -> None:
        self._line, self.pool = line, pool

    def tell(self, verb: str, *words: Any) -> None:
        self._line.tell(verb, *words)

    async def ask(self, verb: str, *words: Any) -> Any:
        return await asyncio.wrap_future(self._line.ask(verb, *words))


async def _attempt(facts: dict[str, Any], line: ProcessEnd) -> Outcome:
    policy = RetryPolicy(*facts["retry"]) if facts["retry"] else RetryPolicy()
    trace = facts["traceparent"]
    spec = RunSpec(
        function=facts["function"], parameters=facts["parameters"], retry=policy, timeout=facts["timeout"],
        traceparent=trace,
    )  # fmt: skip
    packed = codec.encode_spec(spec, codec.HARD_LIMIT)
    kind = FunctionWorker(load_functions(facts["app"], facts["folder"]))
    kind.attach(lambda _: _Services(line, facts["pool"]))
    tracing.enter(trace)
    return await kind.watch(HandOff(0, facts["token"], facts["attempt"], 0, facts["run_id"], packed), "")


def main() -> None:
    """Take the order from the line whose descriptor is given, and tell the outcome over it."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    _end_with_parent(parent)
    line = ProcessEnd(socket.socket(fileno=descriptor))
    line.end(*asyncio.run(_attempt(line.first(), line)))


if __name__ == "__main__":
    main()
