"""Deployments with the schema of what their entrypoint takes, where its code can be seen from here."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..entrypoints.inspection import SECONDS, Question, folder_of, inspect_all
from .document import Deployment


class Seen(NamedTuple):
    """A deployment, with its schema if one was found. `elsewhere`: its code is not here, nothing was inspected."""

    document: Deployment
    fault: str = ""
    elsewhere: bool = False


async def with_schemas(
    documents: Sequence[Deployment], base: Path, environment: Mapping[str, str], *, timeout: float = SECONDS
) -> list[Seen]:
    """Inspect the entrypoints of those that do not say their schema; null says that there is to be none.

    The code is looked for in their working directory and then in `base`. `timeout` is in seconds, for each.
    """
    wanted = [_wants_schema(document) for document in documents]
    questions = [
        _question(document, base) if wants else None for document, wants in zip(documents, wanted, strict=True)
    ]
    answers = await inspect_all((each for each in questions if each), environment, timeout=timeout)
    seen = []
    for document, question, wants in zip(documents, questions, wanted, strict=True):
        found = answers[question] if question else None
        if not wants:
            seen.append(Seen(document))
        elif found is None or found.elsewhere:
            seen.append(Seen(document, elsewhere=True))
        elif found.fault:
            seen.append(Seen(document, found.fault))
        else:
            seen.append(Seen(document.model_copy(update={"parameter_schema": found.schema})))
    return seen


def _wants_schema(document: Deployment) -> bool:
    return document.entrypoint is not None and "parameter_schema" not in document.model_fields_set


def _question(document: Deployment, base: Path) -> Question | None:
    """None when its code is not here, or is cloned before each run."""
    entrypoint = document.entrypoint
    if entrypoint is None or any(kind == "git_clone" for kind, _ in _steps(document)):
        return None
    folder = folder_of(entrypoint, [*_folders(document, base), base])
    return Question(entrypoint, folder) if folder else None


def _folders(document: Deployment, base: Path) -> Iterator[Path]:
    """Where its runs begin; on the workers these may be other folders, or none."""
    said = [document.job_variables.get("working_dir")]
    said += [values.get("directory") for kind, values in _steps(document) if kind == "set_working_directory"]
    yield from (base / folder for folder in said if isinstance(folder, str) and "{{" not in folder)


def _steps(document: Deployment) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Kind and values of its pull steps; prefect.yaml writes the kind with its module before it."""
    for step in document.pull:
        for kind, values in step.items():
            yield kind.rpartition(".")[2], values if isinstance(values, Mapping) else {}
