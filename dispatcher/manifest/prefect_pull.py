"""Pull steps of a prefect.yaml: set_working_directory and git_clone are executed by the worker, others are noted."""

import re
from typing import Any

from .places import Path
from .prefect_reading import Reading, typed

_CLONES = frozenset(("git_clone", "git_clone_project"))
_MODULES = re.compile(r"prefect\.(deployments|projects)\.steps\.(pull\.)?")
_FIELDS = {
    "set_working_directory": frozenset(("directory",)),
    "git_clone": frozenset(
        ("id", "repository", "branch", "commit_sha", "include_submodules", "directories", "access_token")
    ),
}
_UNSUPPORTED = {
    "requires": "is not supported: install what a step needs where the worker is",
    "credentials": "is not supported: give `access_token: '{{ $NAME }}'`, read from the worker's environment",
    "clone_directory_name": "is not supported: a clone has a folder of its own",
    "directory": "is not supported for a clone",
}
_VARIABLE = re.compile(r"\{\{\s*\$([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def read_pull(given: Any, path: Path, reading: Reading) -> tuple[list[Any], list[Path]]:
    """The steps that a worker executes, and where each is said."""
    steps: list[Any] = []
    places: list[Path] = []
    for index, row in enumerate(reading.items(given, path)):
        step = _step(row, (*path, index), reading)
        if step is not None:
            steps.append(step)
            places.append((*path, index))
    return steps, places


def _step(row: Any, path: Path, reading: Reading) -> dict[str, Any] | None:
    if not isinstance(row, dict) or len(row) != 1:
        reading.fault(path, "is no step: one key, its kind, with what belongs to it indented below")
        return None
    ((kind, given),) = row.items()
    here = (*path, kind)
    name = _MODULES.sub("", kind, count=1) if _MODULES.match(kind) else ""
    name = "git_clone" if name in _CLONES else name
    if name not in _FIELDS:
        reading.note(here, "is not executed: a worker knows set_working_directory and git_clone")
        return None
    said = reading.said(reading.mapping(given, here), here, _FIELDS[name] | {"id"}, _UNSUPPORTED)
    if name != "git_clone":
        said.pop("id", None)
    token = said.pop("access_token", None)
    said = reading.filled(said, here)
    if "include_submodules" in said:
        said["include_submodules"] = typed(said["include_submodules"])
    reference = _secret(token, (*here, "access_token"), reading)
    return {name: said | ({"access_token": reference} if reference else {})}


def _secret(token: Any, path: Path, reading: Reading) -> dict[str, str] | None:
    """Where the worker finds the token. It is never stored, so one that is written out or in a block is left out."""
    if token is None:
        return None
    variable = _VARIABLE.fullmatch(token) if isinstance(token, str) else None
    if variable:
        return {"secretRef": f"env:{variable[1]}"}
    reading.note(path, "is not supported: give '{{ $NAME }}', which is read from the worker's environment; left out")
    return None
