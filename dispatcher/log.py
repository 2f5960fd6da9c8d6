"""Logs: one event a line, on standard error.

An event has a name of two words and its facts as fields: `log.info("run.admitted", run_id=..., queue=...)`. JSON by
default, text on a terminal. Times are ISO 8601 in UTC. Secrets are replaced, control characters in text written out.

structlog takes a quarter of a second to import, so it is loaded at the first event that is shown.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from .redaction import HIDDEN, hide_passwords, is_secret, without_controls
from .tracing import current_traceparent

if TYPE_CHECKING:
    from structlog.typing import Processor

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]
Event = MutableMapping[str, Any]

_KEEP_LINES = frozenset({"exception", "stack"})
_DEEPEST = 8


class _Configuration:
    """What `configure_logging` was told last; nothing, until it is called."""

    level: int | None = None
    style: Format = "auto"
    stream: TextIO | None = None


class Logger:
    """Writes the events of one part of Sluice. Fields are keywords; `error` may be followed by a traceback."""

    __slots__ = ("_component",)

    def __init__(self, component: str) -> None:
        self._component = component

    def debug(self, event: str, **fields: object) -> None:
        """Tell what only a developer wants to know."""
        if _is_shown(logging.DEBUG):
            _bound(self._component).debug(event, **fields)

    def info(self, event: str, **fields: object) -> None:
        """Tell what happened."""
        if _is_shown(logging.INFO):
            _bound(self._component).info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell what an operator should look at soon."""
        _bound(self._component).warning(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell what failed."""
        _bound(self._component).error(event, **fields)

    def exception(self, event: str, **fields: object) -> None:
        """Tell what failed, with the traceback of the exception that is being handled."""
        _bound(self._component).exception(event, **fields)


def configure_logging(level: Level = "info", style: Format = "auto", stream: TextIO | None = None) -> None:
    """Set how this process logs; the last call counts, also for loggers made before it.

    `stream` is standard error when None, looked up at each use. `auto` means text when that is a terminal.
    """
    _Configuration.level, _Configuration.style, _Configuration.stream = getattr(logging, level.upper()), style, stream
    if "structlog" in sys.modules:
        _apply()


def get_logger(component: str) -> Logger:
    """Return the logger of a part (`caretaker`, `worker`); every event of it carries that name.

    A process that has called no `configure_logging` is somebody else's: its own structlog settings hold, and
    without any only warnings and errors are shown.
    """
    return Logger(component)


def _is_shown(level: int) -> bool:
    """Tell cheaply whether an event can be shown at all."""
    if _Configuration.level is not None:
        return level >= _Configuration.level
    return "structlog" in sys.modules and sys.modules["structlog"].is_configured()


def _bound(component: str) -> Any:
    import structlog  # noqa: PLC0415 - slow, see above

    if not structlog.is_configured():
        _apply()
    return structlog.get_logger(component=component)


def _apply() -> None:
    """Hand the configuration to structlog."""
    import structlog  # noqa: PLC0415 - slow, see above

    chosen = _Configuration.stream
    level = logging.WARNING if _Configuration.level is None else _Configuration.level
    structlog.configure(
        processors=_processors(chosen or sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.WriteLogger(chosen or sys.stderr),
        cache_logger_on_first_use=False,
    )


def _processors(stream: TextIO) -> "list[Processor]":
    import structlog  # noqa: PLC0415 - slow, see above

    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redact,
    ]
    if not (_Configuration.style == "console" or (_Configuration.style == "auto" and stream.isatty())):
        return [*common, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]
    plain = structlog.dev.plain_traceback  # a pretty one prints local variables, secrets among them
    renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)
    return [*common, _write_out_controls, renderer]


def _add_trace(_logger: object, _method: str, event: Event) -> Event:
    """Name the current span, where OpenTelemetry has one."""
    if current := current_traceparent():
        _, event["trace_id"], event["span_id"], _ = current.split("-")
    return event


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
