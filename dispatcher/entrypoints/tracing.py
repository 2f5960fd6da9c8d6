"""Where an exception was raised, in the user's words: the innermost line of their own code."""

import sysconfig
import traceback
from pathlib import Path

_OWN = Path(__file__).parent
_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
_LONGEST = 500


def said_by(error: BaseException) -> str:
    """Its type and text, cut; those of an exit are its code."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's exception may fail to say what it is
        text = ""
    if isinstance(error, SyntaxError):
        text = error.msg
    first = (text.strip().splitlines() or [""])[0]
    cut = first if len(first) <= _LONGEST else first[: _LONGEST - 3] + "..."
    return f"{type(error).__name__}: {cut}" if cut else type(error).__name__


def place_of(error: BaseException, folder: Path) -> str:
    """`file:line: ` of the innermost frame that is the user's, or else of any; nothing when there is none."""
    frames = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not _is_own(frame.filename)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno or 0))
    theirs = [frame for frame in frames if not _is_installed(frame[0])] or frames
    return f"{_shown(theirs[-1][0], folder)}:{theirs[-1][1]}: " if theirs else ""


def _is_own(file: str) -> bool:
    return Path(file).parent == _OWN


def _is_installed(file: str) -> bool:
    """Part of Python or of a package that was installed."""
    path = Path(file)
    paths = sysconfig.get_paths()
    return "site-packages" in path.parts or any(path.is_relative_to(paths[name]) for name in _INSTALLED)


def _shown(file: str, folder: Path) -> str:
    """The path as seen from the folder, where it is in it."""
    path, base = Path(file).absolute(), folder.absolute()
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
