"""What a failed command says and which code it ends with."""

from enum import IntEnum

from .. import errors


class ExitCode(IntEnum):
    """Exit codes of every command. From 10 on: how the run ended that was waited for."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    REFUSED = 5
    UNREACHABLE = 6
    NOT_DURABLE = 7
    RUN_FAILED = 10
    RUN_CANCELLED = 11
    RUN_CRASHED = 12
    RUN_TIMED_OUT = 13
    RUN_EXPIRED = 14
    STUCK = 75
    TIMEOUT = 124
    INTERRUPTED = 130


class Refused(errors.SluiceError):
    """Somebody said no, or could not be asked: nothing was changed."""


_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (errors.PartlyUnreadable, ExitCode.FAILED),
    (errors.InvalidInput, ExitCode.USAGE),
    (errors.SettingsError, ExitCode.USAGE),
    (Refused, ExitCode.USAGE),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (errors.Conflict, ExitCode.CONFLICT),
    (errors.CredentialsRefused, ExitCode.REFUSED),
    (errors.EncryptionRefused, ExitCode.REFUSED),
    (errors.ServerUnfit, ExitCode.CONFLICT),
    (errors.ServerUnreachable, ExitCode.UNREACHABLE),
    (errors.NotDurable, ExitCode.NOT_DURABLE),
    (errors.ResultTimeout, ExitCode.TIMEOUT),
    (errors.WorkerStuck, ExitCode.STUCK),
)
_ENDS = {
    "completed": ExitCode.OK,
    "failed": ExitCode.RUN_FAILED,
    "cancelled": ExitCode.RUN_CANCELLED,
    "crashed": ExitCode.RUN_CRASHED,
    "expired": ExitCode.RUN_EXPIRED,
}


def end_code(state: str, reason: str) -> ExitCode:
    """The code for how a run ended."""
    return ExitCode.RUN_TIMED_OUT if reason == "timed_out" else _ENDS.get(state, ExitCode.FAILED)


def exit_code(error: BaseException) -> ExitCode:
    """The code for an error."""
    error = first_of(error)
    if isinstance(error, errors.RunFailed):
        return end_code(error.state, error.reason)
    if _is_usage(error):
        return ExitCode.USAGE
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def explain(error: BaseException) -> str:
    """One line for each fault, then what to do about it; no traceback."""
    error = first_of(error)
    known = isinstance(error, errors.SluiceError) or _is_usage(error)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    lines = [f"error: {line.strip()}" for line in text.splitlines() if line.strip()]
    hints: list[str] = list(getattr(error, "__notes__", ()))
    if isinstance(error, errors.ServerUnreachable):
        hints.append("`sluice up` starts a server of its own in this folder")
    if not known:
        hints.append("this should not happen; --debug shows where")
    return "\n".join([*lines, *(f"hint: {hint}" for hint in hints)])


def first_of(error: BaseException) -> BaseException:
    """The first error inside groups that task groups made of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _is_usage(error: BaseException) -> bool:
    """Tell whether the parser raised it, without importing the parser."""
    return any(kind.__name__ == "CycloptsError" for kind in type(error).__mro__)
