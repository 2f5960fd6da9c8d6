"""A part of a file against its model: the document, or findings with their lines."""

from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from ..documents import Fault, StrictModel, faults_of
from .document import source_of
from .places import Finding, Lines, Path, path_of

Model = TypeVar("Model", bound=StrictModel)


class Place(NamedTuple):
    """Where a part is in its file; `texts` are texts of the environment that were read as numbers and alike."""

    lines: Lines
    path: Path
    sources: dict[Path, Path]
    texts: dict[Path, str]


def validated(model: type[Model], given: Any, place: Place, found: list[Finding]) -> Model | None:
    """The document, or None and what is wrong with it in `found`. A text field takes the environment's text."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = faults_of(error)
    again = _with_texts(given, faults, place)
    if again is not None:
        return validated(model, again, place._replace(texts={}), found)
    by_path: dict[Path, list[str]] = {}
    for fault in faults:
        by_path.setdefault(_trimmed(given, path_of(fault.pointer)), []).append(fault.text)
    for path, texts in by_path.items():
        source = source_of(place.path, place.sources, path)
        found.append(place.lines.finding(source, "; or ".join(dict.fromkeys(texts))))
    return None


def _with_texts(given: Any, faults: list[Fault], place: Place) -> Any:
    """The same with texts where values made of them were refused; None when there are none."""
    refused = {_trimmed(given, path_of(fault.pointer)) for fault in faults}
    texts = {path: place.texts.get(source_of(place.path, place.sources, path)) for path in refused}
    if all(text is None for text in texts.values()):
        return None
    return _replaced(given, (), texts)


def _replaced(value: Any, path: Path, texts: dict[Path, str | None]) -> Any:
    if (text := texts.get(path)) is not None:
        return text
    if isinstance(value, dict):
        return {name: _replaced(inner, (*path, name), texts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, (*path, index), texts) for index, inner in enumerate(value)]
    return value


def _trimmed(given: Any, path: Path) -> Path:
    """The path as the value has it, without the names that pydantic adds behind it, those of a union's branches."""
    found: Path = ()
    for part in path:
        if part == "[key]":
            return found
        if isinstance(given, dict):
            key = part if part in given else str(part)
            found = (*found, key)
            if key not in given:
                return found
            given = given[key]
        elif isinstance(given, list) and isinstance(part, int) and part < len(given):
            found, given = (*found, part), given[part]
        else:
            return found
    return found
