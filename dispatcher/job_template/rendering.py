"""A template and its variables become the configuration of one run, in one pass, with the level that set each leaf.

Values are put in as they are and never read again: one that holds `{{ x }}` stays so.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..documents import Fault, pointer_of
from .faults import InvalidTemplate, InvalidVariables
from .merging import Level, joined, merged_tree
from .nodes import TEMPLATE, Leaf, Node, SecretReference, Text, leaves, plain, referred, stamped, strangers
from .placeholders import NOTHING, Placeholder, found_in, parts
from .secrets import Resolver, revealed_by, unrevealed
from .validation import default_faults, shape_faults, template_faults, tree_faults

CONTEXT_LEVEL = "context"
_ORDER = (TEMPLATE, CONTEXT_LEVEL)


class Rendered(NamedTuple):
    """The configuration of a run, and which levels set each leaf, by JSON pointer: `template`, `pool`, `run`, ..."""

    configuration: dict[str, Any]
    origins: dict[str, str]


def check_template(template: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with a template; places are JSON pointers into it."""
    if found := shape_faults(template):
        return found
    if found := template_faults(template):
        return found
    tree, contradictions = merged_tree(template, ())
    return [*contradictions, *default_faults(template, tree)]


class Template:
    """A template that is known to be right. Raises InvalidTemplate with all that is wrong."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        if found := check_template(document):
            raise InvalidTemplate(found)
        self.document = document

    def check(self, levels: Sequence[Level], *, required: bool = True) -> list[Fault]:
        """What is wrong with variables; without `required`, what is missing may come with the run."""
        return self._read(levels, required=required)[1]

    def render(
        self, levels: Sequence[Level], *, context: Mapping[str, Any] | None = None, secrets: Resolver | None = None
    ) -> Rendered:
        """The configuration that the levels make. Raises InvalidVariables; what `secrets` raises goes through.

        Without a context, placeholders of `ctx.` stay; without `secrets`, references stay.
        """
        tree, found = self._read(levels, required=True)
        if found:
            raise InvalidVariables(found)
        made = _Rendering(tree, context).configuration(self.document["job_configuration"])
        reveal = unrevealed if secrets is None else revealed_by(secrets)
        origins = {pointer_of(path): ", ".join(leaf.levels) for path, leaf in leaves(made) if path}
        return Rendered(plain(made, reveal), origins)

    def _read(self, levels: Sequence[Level], *, required: bool) -> tuple[dict[str, Node], list[Fault]]:
        found = [fault for level in levels for fault in strangers(dict(level.variables))]
        if found:
            return {}, found
        tree, contradictions = merged_tree(self.document, levels)
        return tree, [*contradictions, *tree_faults(self.document, tree, required=required)]


def check_variables(template: Mapping[str, Any], levels: Sequence[Level], *, required: bool) -> list[Fault]:
    """What is wrong with variables for a template. Raises InvalidTemplate."""
    return Template(template).check(levels, required=required)


def render(
    template: Mapping[str, Any], levels: Sequence[Level], *, context: Mapping[str, Any] | None = None,
    secrets: Resolver | None = None,
) -> Rendered:  # fmt: skip
    """The configuration that the levels make of a template. Raises InvalidTemplate, InvalidVariables."""
    return Template(template).render(levels, context=context, secrets=secrets)


class _Rendering:
    """One pass over a configuration; None stands for what is missing and goes."""

    def __init__(self, variables: dict[str, Node], context: Mapping[str, Any] | None) -> None:
        self._variables = variables
        self._context = None if context is None else {"ctx": stamped(dict(context), CONTEXT_LEVEL)}

    def configuration(self, template: Mapping[str, Any]) -> dict[str, Node]:
        """All of it; `env` is joined with the variable of that name, and becomes text."""
        made: dict[str, Node] = {}
        for name, value in template.items():
            node = self._node(value)
            if name == "env" and isinstance(value, dict) and node is not None:
                node = joined(node, self._variables.get("env", node))
            if node is not None:
                made[name] = _shaped(name, node)
        return made

    def _node(self, value: Any) -> Node | None:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict) and value and referred(value) is None:
            found = {name: node for name, part in value.items() if (node := self._node(part)) is not None}
            return found or Leaf({}, (TEMPLATE,))
        if isinstance(value, list) and value:
            return [node for part in value if (node := self._node(part)) is not None] or Leaf([], (TEMPLATE,))
        return stamped(value, TEMPLATE)

    def _text(self, text: str) -> Node | None:
        found = parts(text)
        if len(found) == 1 and isinstance(found[0], Placeholder):
            return self._value(found[0])
        return self._joined(found)

    def _value(self, placeholder: Placeholder) -> Node | None:
        if placeholder.is_context and self._context is None:
            return Leaf(placeholder.raw, (TEMPLATE,))
        tree = self._context if placeholder.is_context and self._context is not None else self._variables
        node = found_in(tree, placeholder.name)
        if node is None and placeholder.default is not NOTHING:
            return Leaf(placeholder.default, (TEMPLATE,))
        return node

    def _joined(self, found: Sequence[str | Placeholder]) -> Leaf:
        """One text of several parts; what is missing is nothing, a map or a list is JSON."""
        pieces: list[str | SecretReference] = []
        levels: dict[str, None] = {}
        for part in found or [""]:
            node = Leaf(part, (TEMPLATE,)) if isinstance(part, str) else self._value(part)
            if node is not None:
                pieces += _pieces(node)
                levels |= dict.fromkeys(level for _, leaf in leaves(node) for level in leaf.levels)
        if any(isinstance(piece, SecretReference) for piece in pieces):
            return Leaf(Text(tuple(pieces)), tuple(levels))
        return Leaf("".join(map(str, pieces)), tuple(levels) or (TEMPLATE,))


def _pieces(node: Node) -> list[str | SecretReference]:
    """A value as parts of a text; scalars as Python writes them, as templates written for Prefect expect."""
    if isinstance(node, Leaf):
        if isinstance(node.value, SecretReference):
            return [node.value]
        if isinstance(node.value, Text):
            return list(node.value.parts)
        if not isinstance(node.value, dict | list):
            return [str(node.value)]
    return [json.dumps(plain(node, unrevealed), ensure_ascii=False)]


def _shaped(name: str, node: Node) -> Node:
    """What Prefect's base configuration does: variables of an environment are text, an empty command is none."""
    if name == "env" and isinstance(node, dict):
        return {key: _as_text(part) for key, part in node.items()}
    if name == "command" and isinstance(node, Leaf) and node.value == "":
        return Leaf(None, node.levels)
    return node


def _as_text(node: Node) -> Node:
    if isinstance(node, Leaf) and (node.value is None or isinstance(node.value, str | SecretReference | Text)):
        return node
    levels = dict.fromkeys(level for _, leaf in leaves(node) for level in leaf.levels)
    return Leaf("".join(map(str, _pieces(node))), tuple(levels))
