"""From an entrypoint to what is called: the user's file or module is imported, the function looked up in it.

It makes room for the user's own modules. The folder of the code comes first on the import path, and where that folder
has a `dispatcher`, `workers` or `scheduler` of its own, ours leave sys.modules before the code is imported. What we
imported ourselves goes on working, if nothing of ours is imported later.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

OURS = ("dispatcher", "workers", "scheduler")


class NotThere(Exception):
    """A file, module or function that is not there. `elsewhere`: the code may well be on another machine."""

    def __init__(self, text: str, *, elsewhere: bool = False) -> None:
        super().__init__(text)
        self.elsewhere = elsewhere


def split(entrypoint: str) -> tuple[str, str]:
    """Its file or module, and the name in it."""
    where, _, name = entrypoint.rpartition(":")
    return where, name


def load(entrypoint: str, folder: Path) -> Callable[..., Any]:
    """What a run of it calls. Raises NotThere, and whatever the user's module raises, SystemExit too."""
    where, name = split(entrypoint)
    if not where or not name:
        raise NotThere(f"{entrypoint!r} is no entrypoint: `path/file.py:function` or `package.module:function`")
    module = _load_file(folder / where) if where.endswith(".py") else _load_module(where, folder)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise NotThere(f"{entrypoint}: {where} has no function {name!r}{_near(part, found)}")
        found = getattr(found, part)
    if not callable(found):
        raise NotThere(f"{entrypoint}: {where} has no function {name!r}: that is of type {type(found).__name__}")
    return _unwrapped(found)


def _near(name: str, owner: Any) -> str:
    known = [each for each, value in getattr(owner, "__dict__", {}).items() if callable(value)]
    near = get_close_matches(name, known, n=3)
    return f"; near: {', '.join(near)}" if near else ""


def _unwrapped(found: Any) -> Callable[..., Any]:
    """The function behind a callable object."""
    method: Callable[..., Any] = found if hasattr(found, "__code__") else found.__call__
    return method


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NotThere(f"there is no file {path}: entrypoints are found from the run's working_dir", elsewhere=True)
    make_room(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise NotThere(f"{path} is no Python file")
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_module(name: str, folder: Path) -> ModuleType:
    make_room(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            text = f"there is no module {error.name!r} in {folder} or among the installed packages"
            raise NotThere(text, elsewhere="." not in error.name) from error
        raise


def make_room(folder: Path) -> None:
    """Put the folder first on the import path, and forget our packages where it has some of these names."""
    sys.path.insert(0, str(folder))
    for name in OURS:
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            for known in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
                del sys.modules[known]
    importlib.invalidate_caches()
