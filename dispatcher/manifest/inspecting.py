"""The entrypoints of a file, inspected before anything is written; seen from the folder of the file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from ..client.checking import deployment_faults
from ..deployments.inspecting import with_schemas
from ..entrypoints.inspection import SECONDS
from .document import Declared, Manifest
from .places import ManifestFaults, path_of
from .state import State

_SCHEMA = "parameter_schema"


class InspectedManifest(NamedTuple):
    """The file with the schemas that were found, and the deployments whose code is not here."""

    manifest: Manifest
    elsewhere: tuple[str, ...]


async def inspect_manifest(
    manifest: Manifest, environment: Mapping[str, str], *, names: Sequence[str] = (), timeout: float = SECONDS
) -> InspectedManifest:
    """Inspect the entrypoints of the deployments that are meant, as `plan` takes `names`; `timeout` in seconds, each.

    Raises ManifestFaults with all entrypoints that cannot be loaded, and all parameters that do not fit them.
    """
    meant = [each for each in manifest.deployments if _is_meant(each, names)]
    seen = await with_schemas(
        [each.document for each in meant], Path(manifest.file).parent, environment, timeout=timeout
    )
    found, changed = [], {}
    for declared, answer in zip(meant, seen, strict=True):
        changed[declared.path] = replace(declared, document=answer.document)
        if answer.fault:
            found.append(declared.finding(("entrypoint",), answer.fault))
        found += [declared.finding(path_of(fault.pointer), fault.text) for fault in deployment_faults(answer.document)]
    if found:
        error = ManifestFaults(found)
        error.add_note("`--no-inspect` leaves out the entrypoints: their code is not imported")
        raise error
    deployments = tuple(changed.get(each.path, each) for each in manifest.deployments)
    away = tuple(declared.document.name for declared, answer in zip(meant, seen, strict=True) if answer.elsewhere)
    return InspectedManifest(replace(manifest, deployments=deployments), away)


def keep_schemas(manifest: Manifest, state: State) -> Manifest:
    """The file where a deployment that says no schema, and got none, keeps that of the same entrypoint."""

    def kept(declared: Declared) -> Declared:
        document, stored = declared.document, state.deployments.get(declared.document.name)
        schema = stored.document.parameter_schema if stored else None
        if stored is None or schema is None or _SCHEMA in document.model_fields_set:
            return declared
        if document.entrypoint is None or document.entrypoint != stored.document.entrypoint:
            return declared
        return replace(declared, document=document.model_copy(update={_SCHEMA: schema}))

    return replace(manifest, deployments=tuple(map(kept, manifest.deployments)))


def _is_meant(declared: Declared, names: Sequence[str]) -> bool:
    return not names or any(fnmatchcase(declared.document.name, name) for name in names)
