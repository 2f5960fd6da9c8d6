"""Secrets that job variables name: read here, on the worker, at the moment a run starts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dispatcher.errors import InvalidInput
from dispatcher.job_template import is_allowed

_LARGEST = 65_536


class Secrets:
    """Gives the values of places such as `env:NAME`, and remembers what it gave, so that no error repeats it.

    `allowed` are the patterns of the pool's template, `environment` what this worker's runs may know.
    """

    def __init__(self, allowed: Sequence[str], environment: Mapping[str, str]) -> None:
        self._allowed, self._environment = allowed, environment
        self._given: set[str] = set()

    def __call__(self, place: str) -> str:
        """The value. Raises InvalidInput, which names the place only."""
        if not is_allowed(place, self._allowed):
            known = ", ".join(self._allowed) or "none"
            raise InvalidInput(
                f"the secret {place!r} is not allowed by the pool's template; `secrets.allow` says: {known}"
            )
        kind, _, name = place.partition(":")
        try:
            value = self._environment[name] if kind == "env" else self._read(name)
        except (KeyError, OSError, ValueError):
            raise InvalidInput(f"the secret {place!r} is not on this worker, or cannot be read: set it there") from None
        self._given.add(value)
        return value

    def hide(self, text: str) -> str:
        """A text without what was given."""
        for value in sorted(filter(None, self._given), key=len, reverse=True):
            text = text.replace(value, "(secret)")
        return text

    def _read(self, name: str) -> str:
        """A file of text, without the line's end. A link may lead only to where the pool allows it, too."""
        real = os.path.realpath(name)
        folders = [f"file:{_real_pattern(one.removeprefix('file:'))}" for one in self._allowed if one[:5] == "file:"]
        if not is_allowed(f"file:{real}", [*self._allowed, *folders]):
            raise InvalidInput(f"the secret 'file:{name}' is a link to where the pool allows none")
        with Path(real).open(encoding="utf-8") as file:
            found = file.read(_LARGEST + 1)
        if len(found) > _LARGEST or "\0" in found:
            raise InvalidInput(f"the secret 'file:{name}' is no text of {_LARGEST:,} characters at most")
        return found.removesuffix("\n").removesuffix("\r")


def _real_pattern(pattern: str) -> str:
    """A pattern with the links of its folder followed: /var/run is /run."""
    folder, slash, last = pattern.rpartition("/")
    return pattern if any(sign in folder for sign in "*?[") else f"{os.path.realpath(folder or '/')}{slash}{last}"
