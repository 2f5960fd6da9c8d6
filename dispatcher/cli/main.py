"""Where `sluice` begins: arguments in, exit code out. What starts quickly must stay out of this module's imports."""

import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from .commands import TITLE, all_commands, help_text
from .failures import ExitCode, exit_code, explain
from .version import installed_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App


def main(arguments: "Sequence[str] | None" = None) -> NoReturn:
    """Run the command line and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = _take_debug(words)
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        code = ExitCode.FAILED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where every error becomes a line and a code
        if debug:
            traceback.print_exception(error)
        else:
            print(explain(error), file=sys.stderr)
        code = exit_code(error)
    if code == ExitCode.STUCK:
        os._exit(code)  # a thread goes on that the interpreter would wait for
    sys.exit(code)


def build_app() -> "App":
    """The root of all commands; a command is imported when it is used."""
    from cyclopts import App, Parameter

    app = App(
        name="sluice",
        help=TITLE,
        version=installed_version,
        default_parameter=Parameter(negative=()),
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for command in all_commands():
        app.command(command.target, name=command.name, help=command.help)
    return app


def _run(words: list[str]) -> int:
    """Run it; help, version and health need no parser, which takes longer to import than they take altogether."""
    if words in ([], ["--help"], ["-h"], ["help"]):
        print(help_text())
        return ExitCode.OK if words else ExitCode.USAGE
    if words in (["--version"], ["version"]):
        print(installed_version())
        return ExitCode.OK
    if words[:1] == ["health"]:
        from .health import quick_health

        if (code := quick_health(words[1:])) is not None:
            return code
    return int(build_app()(words) or ExitCode.OK)


def _take_debug(words: list[str]) -> bool:
    """Remove `--debug` from the options and tell whether it was there."""
    end = words.index("--") if "--" in words else len(words)
    found = "--debug" in words[:end]
    words[:end] = [word for word in words[:end] if word != "--debug"]
    return found
