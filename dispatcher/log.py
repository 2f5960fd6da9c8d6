"""Logs: one event a line, on standard error.

An event has a name of two words and its facts as fields: `log.info("run.admitted", run_id=..., queue=...)`. JSON by
default, text on a terminal. Times are ISO 8601 in UTC. Secrets are replaced, control characters in text written out.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from .redaction import HIDDEN, hide_passwords, is_secret, without_controls

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]
Logger = FilteringBoundLogger
Event = MutableMapping[str, Any]

_KEEP_LINES = frozenset({"exception", "stack"})
_DEEPEST = 8


def configure_logging(level: Level = "info", style: Format = "auto", stream: TextIO | None = None) -> None:
    """Set how this process logs; the last call counts, also for loggers made before it.

    `stream` is standard error when None, looked up at each use. `auto` means text when that is a terminal.
    """
    chosen = stream or sys.stderr
    console = style == "console" or (style == "auto" and chosen.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _redact,
            *(_console(colors=chosen.isatty()) if console else _json()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: structlog.WriteLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(component: str) -> Logger:
    """Return the logger of a part (`caretaker`, `worker`); every event of it carries that name.

    In a process that has configured no logging, only warnings and errors are shown: a library keeps quiet.
    """
    if not structlog.is_configured():
        configure_logging("warning")
    return cast("Logger", structlog.get_logger(component=component))


def _json() -> Sequence[Processor]:
    return (structlog.processors.JSONRenderer(default=str, ensure_ascii=False),)


def _console(*, colors: bool) -> Sequence[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors,
        exception_formatter=structlog.dev.plain_traceback,  # a pretty one prints local variables, secrets among them
    )
    return (_write_out_controls, renderer)


def _redact(_logger: object, _method: str, event: Event) -> Event:
    """Hide passwords wherever they stand: under a telling key, in an address, deep in a field."""
    return {key: _without_secrets(key, value, 0) for key, value in event.items()}


def _without_secrets(key: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return HIDDEN if is_secret(key) and value is not None else value
    if is_secret(key) or depth == _DEEPEST:
        return HIDDEN
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {str(name): _without_secrets(str(name), inner, depth + 1) for name, inner in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [_without_secrets(key, inner, depth + 1) for inner in cast("Sequence[object]", value)]
    return hide_passwords(str(value))


def _write_out_controls(_logger: object, _method: str, event: Event) -> Event:
    """Keep what a payload says from driving the terminal of whoever reads the log."""
    return {
        without_controls(key): without_controls(value, keep_lines=key in _KEEP_LINES)
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }
