"""Asking before something is destroyed."""

import sys
from typing import Annotated

from cyclopts import Parameter

from .failures import Refused
from .output import say

Yes = Annotated[bool, Parameter(name=("--yes", "-y"), help="Do not ask.")]
DryRun = Annotated[bool, Parameter(help="Say what would be done, and do nothing.")]


def may(what: str, *, yes: bool, dry_run: bool) -> bool:
    """Tell whether to do it. Without a terminal to ask on, `--yes` is wanted. Raises Refused."""
    if dry_run:
        say(f"would {what}")
        return False
    if yes:
        return True
    if not sys.stdin.isatty():
        raise Refused(f"this would {what}: say so with --yes, or look first with --dry-run")
    print(f"{what[0].upper()}{what[1:]}? Type yes: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was changed")
    return True
