"""The child's side of isolation.py, started by path: one attempt of one run, then the end."""

import asyncio
import ctypes
import os
import signal
import sys

from dispatcher import codec, tracing
from dispatcher.models import HandOff, RetryPolicy, RunSpec
from workers.app import load_functions
from workers.function import FunctionWorker


def _end_with_parent(parent: int) -> None:
    """Die when the worker dies; it may have died before we asked."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


async def _attempt(order: bytes) -> bytes:
    app, app_dir, name, parameters, retry, timeout, trace, (run_id, token, attempt) = codec.unpack(order)
    policy = RetryPolicy(*retry) if retry else RetryPolicy()
    spec = RunSpec(function=name, parameters=parameters, retry=policy, timeout=timeout, traceparent=trace)
    run = HandOff(0, token, attempt, 0, run_id, codec.encode_spec(spec, codec.HARD_LIMIT))
    functions = load_functions(app, app_dir)
    tracing.enter(trace)
    outcome = await FunctionWorker(functions).watch(run, "")
    return codec.pack(list(outcome))


def main() -> None:
    """Read the order from stdin, write the outcome to the descriptor given."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    _end_with_parent(parent)
    answer = asyncio.run(_attempt(sys.stdin.buffer.read()))
    with os.fdopen(descriptor, "wb") as out:
        out.write(answer)


if __name__ == "__main__":
    main()
