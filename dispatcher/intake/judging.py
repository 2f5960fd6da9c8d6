"""Judging entries: what becomes a run, by the rules of the Python client, and what is rejected and why."""

import hashlib
from typing import Any, cast

from ..client.drafting import RunOptions, draft
from ..clock import SystemClock
from ..errors import InvalidInput
from ..ids import derived_run_id
from ..log import get_logger
from ..models import RetryPolicy
from ..redaction import without_controls
from ..store import WireRun
from ..store.intake import PublishStream, Unread
from .document import Document, read_document
from .reading import payload, read_entry

_LONGEST_REASON = 500
_log = get_logger("intake")
_AS_THEY_ARE = (
    "queue", "labels", "keys", "at", "delay", "expires", "retries", "timeout", "idempotency_key", "idempotency_ttl",
    "name", "tags", "command", "shell", "entrypoint", "job_variables", "parent", "traceparent",
)  # fmt: skip


class ServerMoment(SystemClock):
    """A clock that stands at a moment of the server's: times from an entry's arrival on are counted from it."""

    __slots__ = ("_now_ms",)

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """That moment, in milliseconds since 1970."""
        return self._now_ms


def examine(stream: PublishStream, entry: Unread) -> Document | str:
    """The document of an entry, or the reason why it is none. Raises nothing."""
    try:
        return read_document(read_entry(entry.fields))
    except InvalidInput as error:
        return _reason(error)
    except Exception as error:  # noqa: BLE001 - entries come from anybody; none may hold up the next
        return _unexpected(stream, entry, error)


def compose(stream: PublishStream, entry: Unread, document: Document, now_ms: int, limit: int) -> WireRun | str:
    """The run of a document, or the reason why it is none. Raises nothing."""
    try:
        return draft(
            document.function, document.parameters, _options(stream, entry, document), ServerMoment(now_ms), limit,
            source=stream.source,
        )  # fmt: skip
    except InvalidInput as error:
        return _reason(error)
    except Exception as error:  # noqa: BLE001 - see examine
        return _unexpected(stream, entry, error)


def _options(stream: PublishStream, entry: Unread, document: Document) -> RunOptions:
    given: dict[str, Any] = {
        name: value for name in _AS_THEY_ARE if (value := getattr(document, name)) is not None
    }  # fmt: skip
    if document.retry is not None:
        given["retry"] = RetryPolicy(**document.retry.model_dump())
    given["run_id"] = document.id or _derived_id(stream, entry)
    return cast("RunOptions", given)


def _derived_id(stream: PublishStream, entry: Unread) -> str:
    """Of stream, entry and content: an entry's id is its publisher's choice, and may come again with another run."""
    return derived_run_id(f"{stream.key} {entry.id}", hashlib.sha256(payload(entry.fields)).hexdigest())


def _reason(error: Exception) -> str:
    text = str(error).encode(errors="backslashreplace").decode()
    return without_controls(text)[:_LONGEST_REASON]


def _unexpected(stream: PublishStream, entry: Unread, error: Exception) -> str:
    _log.exception("intake.unexpected", pool=stream.pool, source=stream.source, entry=entry.id)
    return _reason(InvalidInput(f"could not be read: {type(error).__name__} {error}"))
