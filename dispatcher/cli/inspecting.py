"""What commands that write deployments have in common: their entrypoints are inspected first, unless it is refused."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import InvalidInput
from .output import say

if TYPE_CHECKING:
    from ..client import Client
    from ..deployments import Deployment

NoInspect = Annotated[bool, Parameter(help="Do not import entrypoints to see what they take.")]
_WORK = ("function", "command", "entrypoint")


def code_environment() -> dict[str, str]:
    """The environment that the user's code is imported in; what is Sluice's is left out of it later."""
    return dict(os.environ)  # noqa: TID251 - it is the user's, for the user's code


def tell_elsewhere(names: Sequence[str]) -> None:
    """Say in one line which deployments were not inspected."""
    if names:
        said = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        say(f"not inspected, their entrypoints are not here: {said}")


async def inspected(document: "Deployment", *, no_inspect: bool) -> "Deployment":
    """The deployment with the schema of what its entrypoint takes, seen from here. Raises InvalidInput."""
    from ..deployments.inspecting import with_schemas

    if no_inspect or document.entrypoint is None:
        return document
    (seen,) = await with_schemas([document], Path(), code_environment())
    if seen.fault:
        error = InvalidInput(f"deployment {document.name!r}: /entrypoint: {seen.fault}")
        error.add_note("`--no-inspect` leaves it out: the code is not imported")
        raise error
    if seen.elsewhere:
        say(f"not inspected: {document.entrypoint} is not here, its parameters are checked when it runs")
    return seen.document


async def checked_changes(
    client: "Client", document: "Deployment", changes: dict[str, Any], pool: str | None, *, no_inspect: bool
) -> dict[str, Any]:
    """The changes with the schema that belongs to them. Raises InvalidInput for all that is wrong, before a move.

    A schema belongs to what is run: with another entrypoint, command or function the old one goes.
    """
    from ..deployments import read_deployment

    kept = {name: value for name, value in document.document().items() if name != "parameter_schema"}
    wanted = read_deployment({**kept, **changes, "pool": pool or document.pool})
    if changes.get("entrypoint"):
        wanted = await inspected(wanted, no_inspect=no_inspect)
    is_same = all(getattr(wanted, name) == getattr(document, name) for name in _WORK)
    if is_same and "parameter_schema" not in wanted.model_fields_set:
        wanted = wanted.model_copy(update={"parameter_schema": document.parameter_schema})
    await client.deployments.check(wanted)
    return {**changes, "parameter_schema": wanted.parameter_schema}
