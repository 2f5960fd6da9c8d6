"""How a container's end is told: its exit code, its signal, its memory."""

import signal
from typing import Any

from ..contract import Outcome
from ..outcomes import error_result, failure

_OF_SIGNALS = 128
_DONE = Outcome("completed", "", b"\xc0")
Retry = list[Any] | None


def outcome_of(state: dict[str, Any], retry: Retry, attempt: int, tail: str) -> Outcome:
    """The end of a command, by the daemon's record of its container; `tail` is the end of what it said.

    `state` has the container's MemoryLimit besides, in bytes, 0 for none.
    """
    code = int(state["ExitCode"])
    if code == 0 and not state.get("Error"):
        return _DONE
    if state.get("OOMKilled"):
        reason, how = "out_of_memory", f"its container was killed for want of memory, exit code {code}: raise mem_limit"
    elif name := signal_name(code):
        reason, how = "signal", f"its container was ended by {name}, exit code {code}"
        if name == "SIGKILL" and state.get("MemoryLimit"):  # the daemon misses some of these events
            how += "; nobody says by whom: perhaps for want of memory, it has a mem_limit"
    else:
        reason, how = "exit_code", f"its container ended with exit code {code}"
    if said := state.get("Error"):
        how += f": {said}"
    return failure(retry, attempt, reason, f"{how}\n{tail}" if tail else how)


def relay_outcome(state: dict[str, Any], told: Outcome | None, retry: Retry, attempt: int, tail: str) -> Outcome:
    """The end of an entrypoint: what its code told, or else how its container ended."""
    if told is not None:
        return told
    if state["ExitCode"] == 0 and not state.get("OOMKilled"):
        return failure(retry, attempt, "exit_code", "its container ended without a word, with exit code 0")
    return outcome_of(state, retry, attempt, tail)


def signal_name(code: int) -> str:
    """The signal of an exit code above 128, empty for none."""
    number = code - _OF_SIGNALS
    return signal.Signals(number).name if number in list(signal.Signals) else ""


def lost(text: str) -> Outcome:
    """The infrastructure's fault: one crash is charged, the run comes back."""
    return Outcome("lost", "", error_result(text))
