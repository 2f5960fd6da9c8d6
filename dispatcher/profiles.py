"""Named profiles: settings kept in one TOML file of the user, `profiles.toml`.

    active = "staging"

    [profiles.staging]
    redis_url = "rediss://..."

The file is written whole, to a temporary file that takes its place, and only its owner may read it: addresses hold
passwords. Which settings there are is not known here; `settings.py` checks names and values.
"""

import json
import math
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from .errors import SettingsError

Value: TypeAlias = str | int | float
FILE_NAME = "profiles.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_HEADING = "# Written by `sluice profile`, which keeps no comments. It may hold passwords: only you can read it.\n"


@dataclass(frozen=True)
class Profiles:
    """What the file says: the profile that was chosen by `use` ('' for none), and the settings of each profile."""

    path: Path
    chosen: str = ""
    values: Mapping[str, Mapping[str, Value]] = field(default_factory=dict[str, Mapping[str, Value]])

    def get(self, name: str, why: str = "") -> Mapping[str, Value]:
        """The settings of a profile. Raises SettingsError, which names those there are; `why` says who wants it."""
        if name not in self.values:
            known = f"there are {', '.join(sorted(self.values))}" if self.values else "there are none"
            raise SettingsError(
                f"there is no profile {name!r}{why} in {self.path}: {known}; "
                "`sluice profile set NAME redis_url=...` makes one"
            )
        return self.values[name]

    def choose(self, name: str) -> "Profiles":
        """The same with another one active, '' for none. Raises SettingsError."""
        if name:
            self.get(name)
        return Profiles(self.path, name, self.values)

    def put(self, name: str, values: Mapping[str, Value]) -> "Profiles":
        """The same with these settings as the profile `name`, new or not. Raises SettingsError for a bad name."""
        if _NAME.match(name) is None:
            raise SettingsError(f"{name!r} is no profile name: letters, digits, `.`, `_` and `-`, 63 at most")
        return Profiles(self.path, self.chosen, {**self.values, name: dict(values)})

    def drop(self, name: str) -> "Profiles":
        """The same without a profile; none is active when it was. Raises SettingsError."""
        self.get(name)
        left = {other: values for other, values in self.values.items() if other != name}
        return Profiles(self.path, "" if self.chosen == name else self.chosen, left)

    def save(self) -> None:
        """Write the file; who reads it meanwhile sees the old one or the new one. Raises SettingsError."""
        target = self.path.resolve()  # a link to a file kept elsewhere stays a link
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=target.parent)  # 0600 from the start
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(_toml(self))
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(target)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise SettingsError(f"{target} cannot be written: {error.strerror}") from error
        except UnicodeEncodeError as error:
            raise SettingsError(f"{error.object[:60]!r} cannot be written: it is no UTF-8 text") from None


def read_profiles(folder: Path) -> Profiles:
    """The profiles of a folder; none when there is no file. Raises SettingsError, naming the file and the place."""
    path = folder / FILE_NAME
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Profiles(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is no TOML: {error}; correct it, or remove it") from None
    return _checked(path, found)


def _checked(path: Path, found: dict[str, Any]) -> Profiles:
    """Refuse what we would not have written: it would be lost when the file is written again."""
    chosen, tables = found.pop("active", ""), found.pop("profiles", {})
    if found:
        raise SettingsError(f"{path}: {min(found)!r} is not known there; a profile is a table [profiles.NAME]")
    if not isinstance(chosen, str) or not isinstance(tables, dict):
        raise SettingsError(f"{path}: `active` is the name of a profile, and `profiles` a table of them")
    for name, table in cast("dict[str, Any]", tables).items():
        if _NAME.match(name) is None or not isinstance(table, dict):
            raise SettingsError(f"{path}: profiles.{name} is no profile: a table [profiles.NAME] of settings")
        for setting, value in cast("dict[str, Any]", table).items():
            if not _is_kept(value):
                raise SettingsError(f"{path}: {setting} of profile {name} is neither text nor a finite number")
    return Profiles(path, chosen, tables)


def _is_kept(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int) and not isinstance(value, bool)


def _toml(profiles: Profiles) -> str:
    lines = [_HEADING]
    if profiles.chosen:
        lines.append(f"active = {_written(profiles.chosen)}\n")
    for name, values in sorted(profiles.values.items()):
        lines.append(f"\n[profiles.{_written(name)}]\n")
        lines += [f"{_written(setting)} = {_written(value)}\n" for setting, value in values.items()]
    return "".join(lines)


def _written(value: Value) -> str:
    """A text or a number as TOML has it; its texts are those of JSON, but for DEL, which must be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
