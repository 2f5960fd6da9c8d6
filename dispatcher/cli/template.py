"""`sluice pool template`: what a pool sets for its runs, and what deployments and runs may change."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from ..errors import InvalidInput
from .connecting import connected
from .output import TABLE, Column, Output, say, show
from .values import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

app = App(name="template", help="Base job templates: what a pool sets for its runs, and what they may change.")

File = Annotated[str, Parameter(help="JSON or YAML; `-` reads it from stdin.", allow_leading_hyphen=True)]


@dataclass(frozen=True)
class _Leaf:
    """A value of a configuration, and which levels set it."""

    place: str
    value: Any
    set_by: str


_ROWS: tuple[Column[_Leaf], ...] = (
    Column("PLACE", lambda leaf: leaf.place),
    Column("VALUE", lambda leaf: json.dumps(leaf.value, ensure_ascii=False)),
    Column("SET BY", lambda leaf: leaf.set_by),
)


@app.command
async def get(pool: str, /) -> None:
    """Print a pool's template as JSON: the one that was set, or else that of its worker type."""
    async with connected() as client:
        print(_json(await client.pools.template(pool)))


@app.command(name="set")
async def set_template(
    pool: str,
    file: File | None = None,
    /,
    *,
    default: Annotated[bool, Parameter(help="Go back to the template of its worker type.")] = False,
) -> None:
    """Set a pool's template, at once for all runs that start after it. One with faults changes nothing."""
    if default == (file is not None):
        raise InvalidInput("give a file (`-` for stdin), or --default")
    template = None if file is None else _read(file)
    async with connected() as client:
        await client.pools.set_template(pool, template)
    say(f"work pool {pool} has the template of its worker type" if default else f"set the template of work pool {pool}")


@app.command
def validate(file: File, /) -> None:
    """Tell everything that is wrong with a template, without writing it anywhere."""
    from ..job_template import InvalidTemplate, check_template

    if found := check_template(_read(file)):
        raise InvalidTemplate(found)
    say(f"{file} is a template without faults")


@app.command
async def render(
    pool: str,
    /,
    *,
    job_variables: Annotated[
        tuple[str, ...], Parameter(name="--job-variable", help="NAME=VALUE of a run: JSON, or else text.")
    ] = (),
    deployment: Annotated[str | None, Parameter(help="With the job variables of this deployment.")] = None,
    file: Annotated[str | None, Parameter(help="Try this template instead of the pool's.")] = None,
    explain: Annotated[bool, Parameter(help="Show which level set each value.")] = False,
    output: Output = TABLE,
) -> None:
    """Print the configuration that a run of the pool would have. Secrets are shown by their names alone."""
    from ..job_template import Level
    from ..job_template import render as rendered

    run = parameters(job_variables, None, "--job-variable")
    async with connected() as client:
        template = await client.pools.template(pool) if file is None else _read(file)
        stored = await client.deployments.get(deployment) if deployment else None
    own = dict(stored.document.job_variables or {}) if stored else {}
    found = rendered(template, [Level("deployment", own), Level("run", run)])
    if explain:
        rows = [_Leaf(place, _at(found.configuration, place), by) for place, by in found.origins.items()]
        show(rows, _ROWS, output, lambda leaf: leaf.place)
    else:
        print(_json(found.configuration))


def _at(value: Any, pointer: str) -> Any:
    """What a JSON pointer leads to."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def _json(document: "Mapping[str, Any]") -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _read(file: str) -> dict[str, Any]:
    """The document of a file. JSON is YAML too. Raises InvalidInput with the line."""
    from ..manifest.yaml_text import read_yaml

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InvalidInput(f"{file} cannot be read: {reason}") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = read_yaml(text, file).value
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} holds no template: a map with job_configuration and variables")
    return found
