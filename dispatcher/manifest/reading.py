"""A file to a manifest: sluice.yaml, or prefect.yaml as it is."""

from collections.abc import Mapping
from pathlib import PurePath

from ..client.checking import deployment_faults
from .document import Manifest
from .places import ManifestFaults, path_of
from .prefect_yaml import is_prefect, read_prefect
from .sluice_yaml import read_sluice
from .yaml_text import read_yaml


def read_manifest(text: str, file: str, environment: Mapping[str, str]) -> Manifest:
    """What a file declares, checked as far as it can be without a server.

    `file` is how it is called in what is told. Raises ManifestFaults with all that is wrong, a line each.
    """
    tree = read_yaml(text, file)
    prefect = PurePath(file).stem == "prefect" or is_prefect(tree)
    manifest = read_prefect(tree, environment) if prefect else read_sluice(tree, environment)
    found = [
        declared.finding(path_of(fault.pointer), fault.text)
        for declared in manifest.deployments
        for fault in deployment_faults(declared.document)
    ]
    if found:
        raise ManifestFaults(found)
    return manifest
