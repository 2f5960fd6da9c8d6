"""Reading a sluice.yaml."""

from collections.abc import Mapping
from typing import Any

from ..deployments import Deployment
from ..errors import InvalidInput
from ..job_template import check_template
from ..names import check_name
from .document import Declared, Manifest, PoolEntry
from .environment import fill
from .places import Finding, ManifestFaults, path_of
from .validating import Place, validated
from .yaml_text import Tree

FREE = frozenset(("definitions", "defaults"))
_KEYS = ("pools", "deployments", *sorted(FREE))


def read_sluice(tree: Tree, environment: Mapping[str, str]) -> Manifest:
    """What the file declares. Raises ManifestFaults with all that is wrong."""
    lines = tree.lines
    if not isinstance(tree.value, dict):
        raise ManifestFaults([lines.finding((), f"is no manifest: a mapping with {', '.join(_KEYS)}")])
    value, texts, found = fill(tree.value, lines, environment, typed=True, free=FREE)
    found += [
        lines.finding((name,), f"is not known here: {', '.join(_KEYS)} are") for name in value if name not in _KEYS
    ]
    place = Place(lines, (), {}, texts)
    pools = _pools(value.get("pools"), place, found)
    deployments = _deployments(value.get("deployments"), place, found)
    if found:
        raise ManifestFaults(found)
    return Manifest(lines.file, lines, pools, deployments)


def _pools(given: Any, place: Place, found: list[Finding]) -> dict[str, PoolEntry]:
    pools: dict[str, PoolEntry] = {}
    if given is None:
        return pools
    if not isinstance(given, dict):
        found.append(place.lines.finding(("pools",), "is a mapping: the name of each pool, and what it is like"))
        return pools
    for name, said in given.items():
        path = ("pools", name)
        try:
            check_name("pool", name)
        except InvalidInput as error:
            found.append(place.lines.finding(path, str(error)))
        entry = validated(PoolEntry, {} if said is None else said, place._replace(path=path), found)
        if entry:
            pools[name] = entry
            faults = check_template(entry.template) if entry.template else []
            found += [place.lines.finding((*path, "template", *path_of(each.pointer)), each.text) for each in faults]
    return pools


def _deployments(given: Any, place: Place, found: list[Finding]) -> tuple[Declared, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        found.append(place.lines.finding(("deployments",), "is a list of deployments"))
        return ()
    declared = []
    for index, said in enumerate(given):
        path = ("deployments", index)
        document = validated(Deployment, said, place._replace(path=path), found)
        if document:
            declared.append(Declared(document, place.lines, path))
    found += doubled(declared)
    return tuple(declared)


def doubled(declared: list[Declared]) -> list[Finding]:
    """Names that several deployments have."""
    first: dict[str, int] = {}
    found = []
    for each in declared:
        line = each.lines.line_of((*each.path, "name"))
        if each.document.name in first:
            text = f"{each.document.name!r} is the name of the deployment in line {first[each.document.name]} too"
            found.append(each.finding(("name",), text))
        first.setdefault(each.document.name, line)
    return found
