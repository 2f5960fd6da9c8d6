"""`sluice deploy`: what a file declares, planned, shown and applied."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import InvalidInput
from .asking import DryRun, Yes, may
from .connecting import connected
from .inspecting import NoInspect, code_environment, tell_elsewhere
from .output import TABLE, Output, in_colour, say
from .plan import show_plan

if TYPE_CHECKING:
    from ..manifest import Manifest, Plan

_FILES = ("sluice.yaml", "sluice.yml", "prefect.yaml", "prefect.yml")
_NOTE = "33"


async def deploy(
    file: Annotated[
        str | None,
        Parameter(help="A sluice.yaml or prefect.yaml; when not given, the one that is here."),
    ] = None,
    /,
    *,
    all: Annotated[bool, Parameter(help="Every deployment of the file; so it is without --name, too.")] = False,
    name: Annotated[
        tuple[str, ...],
        Parameter(name=("--name", "-n"), help="Only deployments like this, e.g. `etl-*`; again for more."),
    ] = (),
    diff: Annotated[bool, Parameter(help="Show each value that changes.")] = False,
    dry_run: DryRun = False,
    prune: Annotated[
        bool, Parameter(help="Delete deployments of the file's pools that are not in it. Pools and limits stay.")
    ] = False,
    no_inspect: NoInspect = False,
    yes: Yes = False,
    output: Output = TABLE,
) -> None:
    """Show what a file changes, and change it. Applied again, it changes nothing.

    All is checked before the first write. On a terminal it asks before it deletes; elsewhere --yes is wanted for that.
    """
    from ..manifest import apply, check_plan, plan, read_state
    from ..manifest.inspecting import keep_schemas

    if all and name:
        raise InvalidInput("--all and --name say two things: give one of them")
    manifest = _read(file)
    if not no_inspect:
        manifest = await _inspected(manifest, name)
    async with connected() as client:
        pools = manifest.pools.keys() | {each.document.pool for each in manifest.deployments}
        state = await read_state(client, pools)  # a pool that the file only uses has a template, too
        wanted = plan(keep_schemas(manifest, state), state, names=name, prune=prune)
        check_plan(wanted, state)
        _tell_notes(manifest)
        show_plan(wanted, output, diff=diff)
        if dry_run or not wanted.pending:
            say("nothing was changed (--dry-run)" if wanted.pending else "nothing to change")
            return
        _ask(wanted, yes=yes)
        await apply(client, wanted)
    say(f"applied {len(wanted.pending)} changes" if len(wanted.pending) > 1 else "applied 1 change")


def _read(file: str | None) -> "Manifest":
    from ..manifest import read_manifest

    environment = dict(os.environ)  # noqa: TID251 - a file names whichever variables of its user it wants
    path = Path(file) if file else _found()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is no text in UTF-8") from None
    return read_manifest(text, str(path), environment)


async def _inspected(manifest: "Manifest", names: Sequence[str]) -> "Manifest":
    from ..manifest.inspecting import inspect_manifest

    found = await inspect_manifest(manifest, code_environment(), names=names)
    tell_elsewhere(found.elsewhere)
    return found.manifest


def _found() -> Path:
    path = next((Path(name) for name in _FILES if Path(name).is_file()), None)
    if path is None:
        raise InvalidInput(f"there is no {' or '.join(_FILES[::2])} here: give a file, `sluice deploy FILE`")
    return path


def _tell_notes(manifest: "Manifest") -> None:
    for note in manifest.notes:
        say(in_colour(f"note: {note}", _NOTE if sys.stderr.isatty() else None))


def _ask(wanted: "Plan", *, yes: bool) -> None:
    """Ask before anything is deleted. Raises Refused."""
    doomed: Sequence[str] = wanted.names("delete")
    if doomed:
        may(f"delete {len(doomed)} deployment{'s' * (len(doomed) > 1)}: {', '.join(doomed)}", yes=yes, dry_run=False)
