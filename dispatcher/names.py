"""Names and what is made of them: which are well formed, and the words that scripts compare.

A bucket is `queue|label,label|key|key`, a class its first two parts, a lane `name,prefix*|label,label|only`.
"""

import re
from collections.abc import Iterable, Sequence

from .errors import InvalidInput

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}(?:=[A-Za-z0-9._/-]{1,63})?\Z")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}:[^\x00-\x20|\x7f-\x9f\ud800-\udfff]+\Z")
AHEAD = "~ahead"
"""A label that no run and no worker says: of runs that are prepared before they are due, and workers that do so."""
KEYS_AT_MOST = 4
KEY_BYTES = 200
LABELS_AT_MOST = 16
START_WITHIN_AT_MOST = 604_800
PRIORITY_AT_MOST = 9_999
LIMIT_AT_MOST = 1_000_000
WHEN_FULL: dict[str, str] = {
    "wait": "it waits for a slot",
    "skip": "it ends as cancelled, reason skipped",
    "replace": "the oldest one is cancelled, reason replaced",
    "wait_one": "one waits, any more is skipped",
}
DURABILITY: dict[str, str] = {
    "fast": "the server has it in memory",
    "fsync": "it is on the master's disk",
    "replicated": "a replica has it, too",
}
"""What is known when a publish is answered."""


def check_name(what: str, name: str) -> str:
    """Return the name of a pool, queue or worker, or raise InvalidInput."""
    if not isinstance(name, str) or not NAME.match(name):
        raise InvalidInput(
            f"{name!r} is no {what} name: letters, digits, `.`, `_` and `-`, 63 at most, the first a letter or digit"
        )
    return name


def check_key(key: str) -> str:
    """Return a concurrency key, `kind:value`, or raise InvalidInput."""
    if not isinstance(key, str) or not KEY.match(key) or len(key.encode()) > KEY_BYTES or key.endswith(":*"):
        raise InvalidInput(
            f"{key!r} is no concurrency key: `kind:value` without blanks or `|`, {KEY_BYTES} bytes at most"
        )
    return key


def check_limit_key(key: str) -> str:
    """Return what a limit is set on: a concurrency key or `kind:*`."""
    if isinstance(key, str) and key.endswith(":*") and NAME.match(key[:-2]):
        return key
    return check_key(key)


def check_limit(limit: int | None) -> int | None:
    """Return a limit, 0 or more, or None for none."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= LIMIT_AT_MOST):
        raise InvalidInput(f"{limit!r} is no limit: a whole number from 0 to {LIMIT_AT_MOST:,}, or none")
    return limit


def check_when_full(when_full: str) -> str:
    """Return what becomes of a run that finds a key full, or raise InvalidInput."""
    if when_full not in WHEN_FULL:
        raise InvalidInput(f"{when_full!r} is nothing to do when a key is full: one of {', '.join(WHEN_FULL)}")
    return when_full


def check_durability(level: str) -> str:
    """Return a level of durability, or raise InvalidInput."""
    if not isinstance(level, str) or level not in DURABILITY:
        raise InvalidInput(f"{level!r} is no level of durability: one of {', '.join(DURABILITY)}")
    return level


def check_durability_timeout(seconds: float) -> float:
    """Return how long a publish waits until it is durable, in seconds, or raise InvalidInput."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.01 <= seconds <= 3600:
        raise InvalidInput(f"{seconds!r} is no time to wait until a run is durable: 0.01 to 3,600 seconds")
    return float(seconds)


def check_priority(priority: int) -> int:
    """Return a priority: 1 is the highest."""
    if not isinstance(priority, int) or isinstance(priority, bool) or not 1 <= priority <= PRIORITY_AT_MOST:
        raise InvalidInput(f"{priority!r} is no priority: a whole number from 1 (highest) to {PRIORITY_AT_MOST:,}")
    return priority


def check_start_within(seconds: float | None) -> float | None:
    """Return how soon a queue's runs should be admitted, in seconds; None is the default."""
    if seconds is None:
        return None
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0.001 <= seconds <= START_WITHIN_AT_MOST
    ):
        raise InvalidInput(f"{seconds!r} is no time to start within: seconds above 0, e.g. 30, a week at most")
    return seconds


def check_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels sorted and without doubles; each is `word` or `k=v`."""
    given = list(labels)
    for label in given:
        if not isinstance(label, str) or not LABEL.match(label):
            raise InvalidInput(
                f"{label!r} is no label: `word` or `key=value` of letters, digits, `.`, `_`, `/` and `-`"
            )
    found = tuple(sorted(set(given)))
    if len(found) > LABELS_AT_MOST:
        raise InvalidInput(f"{len(found)} labels, {LABELS_AT_MOST} are allowed")
    return found


def check_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Return concurrency keys in the order given (narrowest first is fastest), without doubles."""
    found = tuple(dict.fromkeys(check_key(key) for key in keys))
    if len(found) > KEYS_AT_MOST:
        raise InvalidInput(f"{len(found)} concurrency keys, {KEYS_AT_MOST} are allowed")
    return found


def bucket_name(queue: str, labels: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> str:
    """The bucket of runs that wait together; parts must have been checked."""
    return "|".join((queue, ",".join(labels), *keys))


def split_bucket(bucket: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Queue, labels and keys of a bucket's name, without the mark of those that are prepared ahead."""
    queue, labels, *keys = bucket.split("|")
    return queue, tuple(label for label in labels.split(",") if label and label != AHEAD), tuple(keys)


def lane_name(
    queues: Iterable[str] = (), prefixes: Iterable[str] = (), labels: Iterable[str] = (), *,
    only_labelled: bool = False, ahead: bool = False,
) -> str:  # fmt: skip
    """The filter of a worker, in one canonical word: equal filters share a lane. `ahead`: it prepares runs early."""
    names = [check_name("queue", queue) for queue in queues]
    starts = [check_name("queue prefix", prefix.removesuffix("*")) + "*" for prefix in prefixes]
    filters = ",".join(sorted({*names, *starts}))
    own = (*check_labels(labels), *((AHEAD,) if ahead else ()))
    return f"{filters}|{','.join(own)}|{'only' if only_labelled else ''}"
