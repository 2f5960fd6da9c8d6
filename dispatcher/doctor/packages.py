"""Checks of this installation: `dispatcher`, `workers` and `scheduler` are common words that others use too."""

import base64
import hashlib
import json
from importlib.metadata import Distribution, PackageNotFoundError, distributions
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlparse

from .findings import Finding, error, fine, some, warning

OURS = "sluice-dispatcher"
PACKAGES = ("dispatcher", "workers", "scheduler")


def check_packages() -> list[Finding]:
    """Whether each of our packages is the one that our distribution installed."""
    try:
        ours = Distribution.from_name(OURS)
    except PackageNotFoundError:
        text = f"the distribution {OURS} is not installed here: whose packages these are cannot be told"
        return [warning("packages", text, f"pip install {OURS}, in an environment of its own")]
    root = _editable_root(ours)
    return [_check_package(name, ours, root) for name in PACKAGES]


def _check_package(name: str, ours: Distribution, root: Path | None) -> Finding:
    expected = (root / name if root else Path(str(ours.locate_file(name)))).resolve()
    found = _location(name)
    if found is None:
        return error("packages", f"the package {name} cannot be found", f"install {OURS} again")
    remedy = f"give Sluice an environment of its own, or rename the other {name}"
    if found != expected:
        text = f"the package {name} is not ours: it is taken from {found}{_owner(name, found)}, not from {expected}"
        return error("packages", text, remedy)
    if changed := _changed(name, ours, expected):
        text = f"files of the package {name} were replaced{_owner(name, found)}: {some(changed)}"
        return error("packages", text, f"{remedy}; then install {OURS} again")
    return fine("packages", f"{name} is ours, {expected}")


def _location(name: str) -> Path | None:
    """The folder or file that `import name` takes; what is imported already counts."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    place = places[0] if places else spec.origin
    return Path(place).resolve() if place else None


def _editable_root(ours: Distribution) -> Path | None:
    """The checkout, where ours is an editable install."""
    direct = json.loads(ours.read_text("direct_url.json") or "{}")
    if not direct.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlparse(direct["url"]).path)).resolve()


def _changed(name: str, ours: Distribution, folder: Path) -> list[str]:
    """Files that are not as our RECORD has them: gone, or overwritten. An editable install records none."""
    changed: list[str] = []
    for file in ours.files or ():
        path = Path(str(ours.locate_file(file))).resolve()
        if file.hash is None or path.suffix != ".py" or not path.is_relative_to(folder) or file.parts[0] != name:
            continue
        if not path.is_file():
            changed.append(str(file))
            continue
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            changed.append(str(file))
    return changed


def _owner(name: str, place: Path) -> str:
    """Which other distributions say that they installed it."""
    owners = {
        other.name
        for other in distributions()
        if other.name != OURS and any(file.parts[0] in (name, f"{name}.py") for file in other.files or ())
    }
    if owners:
        return f" (of the distribution {', '.join(sorted(owners))})"
    return "" if "site-packages" in place.parts else " (a folder on sys.path)"
