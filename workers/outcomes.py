"""How an attempt ends: completed, tried again, or failed with an error that fits a record."""

import random
import traceback
from collections.abc import Callable
from typing import Any

from dispatcher import codec
from dispatcher.errors import InvalidInput, PayloadTooLarge
from dispatcher.models import RetryPolicy

from .contract import Outcome

_MESSAGE, _TRACE = 2_000, 8_000
_NONE = b"\xc0"
_DONE_NONE = Outcome("completed", "", _NONE)


def retry_delay_ms(policy: RetryPolicy, attempt: int, share: float) -> int:
    """The delay after attempt `attempt` (from 1): delay * factor^(attempt - 1), at most max_delay, less jitter.

    `share` in [0, 1) is the random part. Jitter only shortens, so max_delay holds.
    """
    exponent = min(attempt - 1, 1000)
    full = min(policy.max_delay, policy.delay * min(policy.factor, 1e6) ** min(exponent, 50))
    return round(1000 * full * (1 - policy.jitter * share))


def error_result(error: BaseException | str) -> bytes:
    """An error as it is kept: message, type and the end of its traceback, bounded."""
    if isinstance(error, str):
        return codec.pack({"error": _writable(error[:_MESSAGE])})
    lines = "".join(traceback.format_exception(error))[-_TRACE:]
    kind = type(error).__name__
    try:
        message = f"{kind}: {error}"
    except Exception:  # noqa: BLE001 - the user's exception may fail to describe itself
        message = f"{kind}: (its message cannot be read)"
    return codec.pack({"error": _writable(message[:_MESSAGE]), "type": kind, "traceback": _writable(lines)})


def _writable(text: str) -> str:
    """Without halves of characters, which UTF-8 cannot hold."""
    return text.encode(errors="backslashreplace").decode()


def failure(
    retry: list[Any] | None,
    attempt: int,
    reason: str,
    error: BaseException | str,
    chance: Callable[[], float] = random.random,
) -> Outcome:
    """The end of a failed attempt: `retry` is the policy's row in the spec, None for no retries."""
    result = error_result(error)
    if not retry:
        return Outcome("failed", reason, result)
    policy = RetryPolicy(*retry)
    if attempt > policy.retries:
        return Outcome("failed", "retries_spent", result)
    return Outcome("retry", str(retry_delay_ms(policy, attempt, chance())), result)


def finished(result: Any) -> Outcome:
    """A completed run, or a failed one when its result cannot be kept."""
    if result is None:
        return _DONE_NONE
    try:
        packed = codec.pack(result)
        if len(packed) > codec.PAYLOAD_LIMIT:
            raise PayloadTooLarge(len(packed), codec.PAYLOAD_LIMIT)
    except InvalidInput as error:
        return Outcome("failed", "bad_result", error_result(f"the result: {error}"))
    return Outcome("completed", "", packed)
