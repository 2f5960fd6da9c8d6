"""Durations as people write them: `90s`, `5m`, `1h30m`, or a plain number of seconds."""

import re

from .errors import InvalidInput

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def seconds_of(text: str) -> float:
    """`90s`, `5m`, `1h30m`, `250ms`, `2d`, or a plain number of seconds, in seconds. Raises InvalidInput."""
    words = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", words):
        return float(words)
    if not words or _PART.sub("", words):
        raise InvalidInput(f"{text!r} is no duration: e.g. 90s, 5m, 1h30m, 250ms, 2d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(words))
