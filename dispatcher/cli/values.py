"""Reading what people type: durations, instants, limits, parameters. Each raises InvalidInput with an example."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ..durations import seconds_of
from ..errors import InvalidInput

duration = seconds_of


def optional_duration(text: str | None) -> float | None:
    """A duration, or None when none was given."""
    return None if text is None else duration(text)


def instant(text: str) -> datetime:
    """An instant in ISO 8601 with its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is no instant: e.g. 2030-01-31T08:00:00+01:00") from None
    if found.tzinfo is None:
        raise InvalidInput(f"{text!r} has no time zone: add Z or an offset such as +01:00")
    return found


def moment(text: str) -> float | datetime:
    """A duration from now, or an instant."""
    return instant(text) if "-" in text.lstrip("-") or "T" in text else duration(text)


def limit(text: str) -> int | None:
    """A whole number, or `none` for no limit."""
    if text.lower() == "none":
        return None
    if not re.fullmatch(r"-?\d+", text):
        raise InvalidInput(f"{text!r} is no limit: a whole number, or `none`")
    return int(text)


def parameters(pairs: Iterable[str], text: str | None, option: str = "--param") -> dict[str, Any]:
    """`--params-json` (an object; `-` reads it from stdin), then each `--param name=value`: JSON, or else text."""
    found = _object(sys.stdin.read() if text == "-" else text) if text else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise InvalidInput(f"{pair!r} has no name and value: give {option} name=value")
        found[name] = _json_or_text(value)
    return found


def job_variables(pairs: Iterable[str], env: Iterable[str], working_dir: str | None) -> dict[str, Any]:
    """`--job-variable name=value` (JSON, or else text), `--env NAME=text` and `--working-dir` as job variables."""
    found = parameters(pairs, None, "--job-variable")
    for pair in env:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise InvalidInput(f"{pair!r} is no variable of an environment: give --env NAME=value")
        found.setdefault("env", {})[name] = value
    if working_dir is not None:
        found["working_dir"] = working_dir
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"--params-json is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput("--params-json must be a JSON object: '{\"name\": 1}'")
    return found


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
