"""A sluice.yaml of what is there. The same state gives the same bytes; what is left out is the default."""

from collections.abc import Sequence
from typing import Any

import yaml

from ..deployments import Deployment
from ..errors import DeploymentNotFound
from .document import PoolEntry
from .environment import escape
from .state import State


def export(state: State, names: Sequence[str] = ()) -> str:
    """The text of a file that applies to the same state: these deployments and their pools, or all that is there.

    Raises DeploymentNotFound.
    """
    for name in names:
        if name not in state.deployments:
            raise DeploymentNotFound(name)
    chosen = [state.deployments[name].document for name in sorted(set(names) or state.deployments)]
    pools = {document.pool for document in chosen} if names else set(state.pools)
    said = {
        "pools": {name: _pool(state.pools[name]) for name in sorted(pools & state.pools.keys())},
        "deployments": [_deployment(document) for document in chosen],
    }
    return _written({name: part for name, part in said.items() if part})


def _deployment(document: Deployment) -> dict[str, Any]:
    """With the schema of its entrypoint, or null: who applies it may have other code, or none."""
    said = document.document()
    return said if document.entrypoint is None else {**said, "parameter_schema": document.parameter_schema}


def _pool(entry: PoolEntry) -> dict[str, Any]:
    """Its type and its queues' priorities are always said: they have no default that a server keeps."""
    said = entry.document()
    limits = {
        key: limit.limit if limit.when_full == "wait" else limit.document() for key, limit in entry.limits.items()
    }
    parts = {"queues": {name: queue.document() for name, queue in entry.queues.items() if queue}, "limits": limits}
    return {**said, **{name: part for name, part in parts.items() if part}}


def _written(value: Any) -> str:
    return yaml.dump(
        _escaped(value), Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=1_000_000
    )


def _escaped(value: Any) -> Any:
    """The same with texts that would be read as placeholders kept from it."""
    if isinstance(value, dict):
        return {name: _escaped(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    return escape(value) if isinstance(value, str) else value


class _Dumper(yaml.SafeDumper):
    """Lists stand below their key; texts of several lines are blocks; nothing becomes an alias."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Indent lists too: the base class would not."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class calls it so
        """Write what is used twice out twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Characters that are not seen, among them line ends of other kinds, are written out in double quotes."""
    lines = text.split("\n")
    style = '"' if not all(map(str.isprintable, lines)) else "|" if len(lines) > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
