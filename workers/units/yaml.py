"""Plain values as YAML that people can read; text in the quotes of JSON, which YAML reads alike."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def yaml_of(value: Mapping[str, Any]) -> str:
    """A document of mappings, lists, text, numbers and booleans. Keys are plain words."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Mapping[str, Any]) -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(item))
        elif isinstance(item, list) and item:
            yield f"{key}:"
            for each in item:
                yield from _entry(each)
        else:
            yield f"{key}: {_scalar(item)}"


def _entry(item: Any) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"  - {_scalar(item)}"
        return
    for number, line in enumerate(_lines(item)):
        yield f"    {line}" if number else f"  - {line}"


def _scalar(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False)
