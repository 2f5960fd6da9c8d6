"""From what a caller says to what the publish script takes: checked, encoded, named. Nothing here talks to Redis."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypedDict, cast

from .. import codec, tracing
from ..clock import Clock
from ..errors import InvalidInput
from ..ids import new_run_id
from ..models import RetryPolicy, RunSpec
from ..names import bucket_name, check_durability, check_keys, check_labels, check_name
from ..store import WireRun

Seconds = float | timedelta
_DAY = timedelta(days=1)
_LONGEST_TEXT = 200
_ID = frozenset("0123456789abcdefghijklmnopqrstuvwxyz-")


class RunOptions(TypedDict, total=False):
    """What a publish may say beside function and parameters. Durations in seconds or as timedelta, instants aware."""

    queue: str
    labels: Sequence[str]
    keys: Sequence[str]
    at: datetime | None
    delay: Seconds | None
    expires: Seconds | datetime | None
    retries: int
    retry: RetryPolicy | None
    timeout: Seconds | None
    idempotency_key: str | None
    idempotency_ttl: Seconds
    name: str | None
    tags: Sequence[str]
    run_id: str | None
    command: Sequence[str] | str | None
    shell: bool
    entrypoint: str | None
    job_variables: Mapping[str, Any] | None
    parent: str | None
    traceparent: str | None
    durability: str | None


@dataclass(frozen=True, slots=True)
class Publish:
    """A run to be published with `publish_many`; without a function, `options` name a command or an entrypoint."""

    function: str | None = None
    parameters: Mapping[str, Any] | None = None
    options: RunOptions | None = None


@lru_cache(maxsize=4096)
def checked_bucket(queue: str, labels: tuple[str, ...], keys: tuple[str, ...]) -> str:
    """The bucket of checked parts; most publishers use few, so the checks are paid once."""
    return bucket_name(check_name("queue", queue), check_labels(labels), check_keys(keys))


def _text(what: str, value: str) -> str:
    """Short text that can be written, or InvalidInput."""
    if not isinstance(value, str) or len(value.encode(errors="replace")) > _LONGEST_TEXT or not _is_encodable(value):
        raise InvalidInput(f"{str(value)[:_LONGEST_TEXT]!r} is no {what}: text of {_LONGEST_TEXT} bytes at most")
    return value


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _words(what: str, given: Iterable[str]) -> tuple[str, ...]:
    """Several words; one text is refused, it would be taken for its letters."""
    if type(given) is tuple:  # quickly: every publish asks
        return given
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidInput(f"{given!r} are no {what}: give a list of them")
    return tuple(given)


def _seconds(what: str, value: Seconds) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 10**10:
        raise InvalidInput(f"{value!r} is no {what}: seconds, 0 or more, or a timedelta")
    return float(seconds)


def _instant(what: str, value: datetime) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidInput(f"{value!r} is no {what}: a datetime with a time zone")
    return int(value.astimezone(UTC).timestamp() * 1000)


def _start(options: RunOptions, clock: Clock) -> int:
    at, delay = options.get("at"), options.get("delay")
    if at is not None and delay is not None:
        raise InvalidInput("`at` and `delay` exclude each other")
    if at is not None:
        return _instant("start", at)
    return clock.now_ms() + round(1000 * _seconds("delay", delay)) if delay else 0


def _deadline(options: RunOptions, clock: Clock) -> int:
    expires = options.get("expires")
    if expires is None:
        return 0
    if isinstance(expires, datetime):
        return _instant("deadline", expires)
    return clock.now_ms() + round(1000 * _seconds("expiry", expires))


def _retry(options: RunOptions) -> RetryPolicy:
    policy = options.get("retry") or RetryPolicy()
    if not isinstance(policy, RetryPolicy):
        raise InvalidInput(f"{policy!r} is no RetryPolicy: `retries=3` is the short form")
    policy = replace(policy, retries=options["retries"]) if "retries" in options else policy
    numbers = (policy.retries, policy.delay, policy.factor, policy.max_delay, policy.jitter)
    if (
        not isinstance(policy.retries, int)
        or not all(isinstance(number, int | float) and math.isfinite(number) and number >= 0 for number in numbers)
        or policy.retries > 1000
        or policy.jitter > 1
    ):
        raise InvalidInput(f"{policy!r} is no retry policy: 0 to 1000 retries, no negative number, jitter up to 1")
    return policy


def _run_id(given: str | None) -> str:
    if given is None:
        return new_run_id()
    if not isinstance(given, str) or not 16 <= len(given) <= 36 or not _ID.issuperset(given):
        raise InvalidInput(f"{given!r} is no run id: 16 to 36 of a-z, 0-9 and `-`; leave it out to have one made")
    return given


def _extra(options: RunOptions, at: int, deadline: int) -> bytes:
    key = _text("idempotency key", options.get("idempotency_key") or "")
    ttl = round(1000 * _seconds("time to live", options.get("idempotency_ttl", _DAY)))
    if key and ttl < 1:
        raise InvalidInput("an idempotency key needs a time to live above 0")
    return codec.encode_extra(
        at=at, expires_at=deadline, idempotency_key=key, ttl_ms=ttl, parent=options.get("parent") or ""
    )


def _function(given: str) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= 200:
        raise InvalidInput(f"{given!r} is no function name: text of 1 to 200 characters")
    return given


def _command(given: Sequence[str] | str, *, shell: bool) -> tuple[str, ...] | str:
    """A list of arguments; a text is split as a shell would, or kept whole where a shell is to run it."""
    if isinstance(given, str) and shell:
        words: tuple[str, ...] = (given,)
    elif shell:
        raise InvalidInput("with `shell`, the command is one text: the script for `sh -eu -c`")
    else:
        try:
            words = tuple(shlex.split(given)) if isinstance(given, str) else _words("words of a command", given)
        except ValueError as error:
            raise InvalidInput(f"{given!r} is no command: {error}; give a list of arguments, or shell=True") from None
    if not words or not words[0] or any(not isinstance(word, str) or "\0" in word for word in words):
        raise InvalidInput(f"{given!r} is no command: a list of texts, the first one a program")
    return words[0] if shell else words


def _entrypoint(given: str) -> str:
    if not isinstance(given, str) or not all(given.rpartition(":")[::2]) or len(given) > 1000:
        raise InvalidInput(f"{given!r} is no entrypoint: `path/file.py:function` or `package.module:function`")
    return given


def _mapping(what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if type(given) is not dict and not isinstance(given, Mapping):
        raise InvalidInput(f"{type(given).__name__} {what}: a mapping of names to values is wanted")
    return dict(given)


def _work(function: str | None, options: RunOptions) -> dict[str, Any]:
    """What the run does: a function, a command or an entrypoint, one of them."""
    command, entrypoint = options.get("command"), options.get("entrypoint")
    if (function is not None) + (command is not None) + (entrypoint is not None) != 1:
        raise InvalidInput("a run names one of function, command and entrypoint")
    if options.get("shell") and command is None:
        raise InvalidInput("`shell` is for a command")
    if command is not None:
        return {"command": _command(command, shell=bool(options.get("shell")))}
    return {"function": _function(function)} if function is not None else {"entrypoint": _entrypoint(entrypoint or "")}


def draft(
    function: str | None,
    parameters: Mapping[str, Any] | None,
    options: RunOptions,
    clock: Clock,
    limit: int,
    **more: str | None,
) -> WireRun:
    """A run as the script takes it; `more` goes into its spec as it is. Raises InvalidInput, PayloadTooLarge."""
    given = {} if parameters is None else _mapping("parameters", parameters)
    unknown = options.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise InvalidInput(f"unknown option {min(unknown)!r}: one of {', '.join(RunOptions.__annotations__)}")
    labels, keys = _words("labels", options.get("labels", ())), _words("keys", options.get("keys", ()))
    try:
        bucket = checked_bucket(options.get("queue", "default"), labels, keys)
    except TypeError as error:  # not hashable
        raise InvalidInput(f"queue, labels and keys are text: {error}") from error
    if function is not None and not more and not options.keys() - {"queue", "labels", "keys"}:
        return WireRun(new_run_id(), bucket, b"", codec.encode_plain_spec(_function(function), given, limit))
    at, deadline = _start(options, clock), _deadline(options, clock)
    timeout, name, parent = options.get("timeout"), options.get("name"), options.get("parent")
    variables, trace, level = options.get("job_variables"), options.get("traceparent"), options.get("durability")
    spec = RunSpec(
        **_work(function, options),
        parameters=given,
        job_variables=None if variables is None else _mapping("job variables", variables),
        parent=None if parent is None else _run_id(parent),
        traceparent=None if trace is None else tracing.check_traceparent(trace),
        durability=None if level is None else check_durability(level),
        name=None if name is None else _text("name", name),
        tags=tuple(_text("tag", tag) for tag in _words("tags", options.get("tags", ()))),
        retry=_retry(options),
        timeout=None if timeout is None else _seconds("timeout", timeout),
        at=at or None,
        expires_at=deadline or None,
        **cast("dict[str, Any]", more),
    )
    return WireRun(
        _run_id(options.get("run_id")), bucket, _extra(options, at, deadline), codec.encode_spec(spec, limit)
    )
