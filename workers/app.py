"""Finding the user's functions: `package.module:attribute`, imported as the user's project would."""

import importlib
import sys

from dispatcher.errors import InvalidInput

from .functions import Functions


def load_functions(app: str, app_dir: str) -> Functions:
    """The registry that `app` names; `app_dir` goes first on the import path. Raises InvalidInput with the cause."""
    module_name, _, attribute = app.partition(":")
    if not module_name or not attribute:
        raise InvalidInput(f"{app!r} names no application: give `package.module:attribute`, e.g. `tasks:functions`")
    if app_dir not in sys.path:
        sys.path.insert(0, app_dir)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's module may raise anything at import
        raise InvalidInput(
            f"importing {module_name!r} from {app_dir} failed: {type(error).__name__}: {error}"
        ) from error
    found = getattr(module, attribute, None)
    if not isinstance(found, Functions):
        kind = "nothing" if found is None else f"a {type(found).__name__}"
        raise InvalidInput(f"{app!r} is {kind}: it must be a workers.Functions()")
    return found
