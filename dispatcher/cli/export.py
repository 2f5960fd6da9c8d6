"""`sluice deployment export`: a sluice.yaml of what is there."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import InvalidInput
from .connecting import connected
from .output import say


async def export(
    *names: Annotated[str, Parameter(help="Deployments; their pools come along.")],
    all: Annotated[bool, Parameter(help="Everything: all pools, queues, limits and deployments.")] = False,
    file: Annotated[Path | None, Parameter(name=("--output", "-o"), help="Write it there; else it is printed.")] = None,
) -> None:
    """Print a sluice.yaml that applies to the same state. The same state gives the same bytes."""
    from ..manifest import export as text_of
    from ..manifest import read_state

    if bool(names) == all:
        raise InvalidInput("give names of deployments, or --all")
    async with connected() as client:
        text = text_of(await read_state(client), names)
    if file is None:
        print(text, end="")
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from None
    say(f"wrote {file}")
