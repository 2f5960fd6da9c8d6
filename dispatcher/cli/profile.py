"""`sluice profile`: settings kept under a name, so that commands anywhere find the same server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from cyclopts import App, Parameter

from ..errors import InvalidInput
from ..settings import checked_values, read_places, shown
from .asking import DryRun, Yes, may
from .output import TABLE, Column, Output, say, show, show_one

app = App(name="profile", help="Settings under a name. The environment and .env come before them.")

Name = Annotated[str, Parameter(help="The profile.")]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as it is shown: passwords are hidden."""

    name: str
    active: bool
    settings: Mapping[str, str | int | float]


_COLUMNS: tuple[Column[Profile], ...] = (
    Column("PROFILE", lambda profile: profile.name),
    Column("ACTIVE", lambda profile: profile.active),
    Column("SETTINGS", lambda profile: [f"{name}={value}" for name, value in profile.settings.items()]),
)


def _name(profile: Profile) -> str:
    return profile.name


def _profiles() -> list[Profile]:
    profiles, active = read_places()
    return [
        Profile(
            name,
            name == active.name,
            {field: shown(value) if isinstance(value, str) else value for field, value in values.items()},
        )
        for name, values in sorted(profiles.values.items())
    ]


@app.command
def ls(*, output: Output = TABLE) -> None:
    """List profiles and which one is active."""
    profiles, active = read_places()
    if active.name and active.name not in profiles.values:
        say(f"warning: {active.by} chose profile {active.name!r}, which does not exist: other commands will refuse")
    show(_profiles(), _COLUMNS, output, _name)


@app.command(name="show")
def show_profile(
    name: Annotated[str | None, Parameter(help="The active one, when not given.")] = None, /, *, output: Output = TABLE
) -> None:
    """Show the settings of a profile."""
    profiles, active = read_places()
    wanted = name or active.name
    if not wanted:
        raise InvalidInput("no profile is active: name one, or choose one with `sluice profile use NAME`")
    profiles.get(wanted)
    show_one(next(profile for profile in _profiles() if profile.name == wanted), _COLUMNS, output, _name)


@app.command
def use(name: Annotated[str, Parameter(help="The profile; none, when not given.")] = "", /) -> None:
    """Choose the profile that counts where SLUICE_PROFILE is not set."""
    profiles, active = read_places()
    profiles.choose(name).save()
    say(f"profile {name} is active" if name else "no profile is active")
    if active.by.startswith("SLUICE") and active.name != name:
        say(f"warning: SLUICE_PROFILE is set here and chooses {active.name}")


@app.command(name="set")
def set_values(name: Name, /, *pairs: Annotated[str, Parameter(help="setting=value, such as pool=etl.")]) -> None:
    """Change settings of a profile, which is made if missing. Nothing changes when one of them is bad."""
    if not pairs:
        raise InvalidInput("no setting was given: sluice profile set NAME setting=value ...")
    changes: dict[str, str] = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not field or not equals:
            raise InvalidInput(f"{shown(pair)!r} is no setting=value")
        changes[field] = value
    profiles, _ = read_places()
    new = checked_values(changes)
    profiles.put(name, {**profiles.values.get(name, {}), **new}).save()
    say(f"profile {name} has {', '.join(f'{field}={shown(value)}' for field, value in new.items())}")


@app.command
def unset(name: Name, /, *fields: Annotated[str, Parameter(help="The settings.")]) -> None:
    """Remove settings from a profile."""
    profiles, _ = read_places()
    left = dict(profiles.get(name))
    if not fields:
        raise InvalidInput("no setting was given: sluice profile unset NAME setting ...")
    for field in fields:
        if field not in left:
            raise InvalidInput(f"profile {name} does not set {field!r}: it sets {', '.join(left) or 'nothing'}")
        del left[field]
    profiles.put(name, left).save()
    say(f"profile {name} no longer sets {', '.join(fields)}")


@app.command
def rm(name: Name, /, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove a profile."""
    profiles, _ = read_places()
    left = profiles.drop(name)
    if may(f"remove profile {name}", yes=yes, dry_run=dry_run):
        left.save()
        say(f"profile {name} is removed")
