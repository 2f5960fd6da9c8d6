"""Templates of concurrency and cache keys: `tenant:{{ parameters.tenant }}`. One pass; a value is never read again."""

import re
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInput

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_NAME = re.compile(r"parameters(?:\.[\w-]+)+\Z")


def check_text(what: str, text: str) -> None:
    """Raise InvalidInput unless its placeholders name parameters."""
    rest = _PLACEHOLDER.sub("", text)
    bad = [name for name in _PLACEHOLDER.findall(text) if not _NAME.match(name)]
    if bad or "{{" in rest or "}}" in rest:
        wrong = bad[0] if bad else text
        raise InvalidInput(f"{wrong!r} in {what} {text!r} is no placeholder: `{{{{ parameters.NAME }}}}` is one")


def fill_text(what: str, text: str, parameters: Mapping[str, Any]) -> str:
    """The text with each placeholder replaced by its parameter. Raises InvalidInput for one that is not there."""

    def value_of(found: re.Match[str]) -> str:
        value: Any = parameters
        for part in found[1].split(".")[1:]:
            if not isinstance(value, Mapping) or part not in value:
                raise InvalidInput(f"{what} {text!r} needs the parameter {found[1].removeprefix('parameters.')!r}")
            value = value[part]
        if value is None or isinstance(value, Mapping | list | tuple | set):
            raise InvalidInput(f"{what} {text!r} needs text or a number as {found[1]}, not {value!r}")
        return str(value).lower() if isinstance(value, bool) else str(value)

    check_text(what, text)
    return _PLACEHOLDER.sub(value_of, text)
