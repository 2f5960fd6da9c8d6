"""Settings: what the environment and the user's profiles say, read once, when a service or a command starts.

Every field is a variable: `lease_seconds` is `SLUICE_LEASE_SECONDS`. A value that is given by hand comes first, then
the environment, then a file `.env` in the working directory, then the active profile, then the default. Importing
pydantic takes a tenth of a second, so whoever must start quickly imports this module late.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from .addresses import read_address
from .errors import InvalidInput, SettingsError
from .profiles import Profiles, Value, read_profiles
from .redaction import hide_passwords

PREFIX = "SLUICE_"
_SHOWN_CHARACTERS = 200
_CONFIG = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)


def _redis_url(url: str) -> str:
    """Refuse what redis-py would misread only at the first command."""
    try:
        return read_address(url).url
    except InvalidInput as error:
        raise ValueError(str(error)) from None


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Settings(BaseSettings):
    """How one process of Sluice behaves. Make it with `read_settings`, whose errors name the variable."""

    model_config = _CONFIG

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        default="redis://127.0.0.1:6379/0",
        description="Address of the Redis or Valkey server, of sentinels or of a cluster.",
    )
    redis_username: str = Field(default="", description="Its user, when the address names none.")
    redis_password_file: Path | None = Field(
        default=None,
        description="A file with its password, when the address has none.",
    )
    tls_ca: Path | None = Field(
        default=None, description="A file with the CA that signed the server's certificate, else those of the system."
    )
    tls_cert: Path | None = Field(default=None, description="A file with our certificate, for servers that want one.")
    tls_key: Path | None = Field(default=None, description="A file with the key of our certificate.")
    pool: Name = Field(default="default", description="The work pool when a command names none.")
    durability: Literal["fast", "fsync", "replicated"] = Field(
        default="fast", description="What a publish waits for when it does not say: memory, disk or a replica."
    )
    durability_timeout: float = Field(
        default=5, ge=0.01, le=3600, description="How long a publish waits for disk or replica, in seconds."
    )
    lease_seconds: float = Field(
        default=15, ge=0.2, le=3600, description="How long a silent worker keeps its runs, in seconds."
    )
    grace_seconds: float = Field(
        default=30, ge=0, le=86_400, description="How long a worker's runs may go on once it is to stop, in seconds."
    )
    trace_parenting: Literal["link", "child"] = Field(
        default="link", description="Whether a run's trace links to its publisher's, or goes on in it."
    )
    health: str | None = Field(
        default=None, max_length=300, description="HOST:PORT where a service answers probes, unless it is told another."
    )
    tick_ms: int = Field(default=250, ge=10, le=60_000, description="Pause between two rounds of the caretaker.")
    payload_limit: int = Field(
        default=512 * 1024, ge=1_024, le=1_024 * 1_024, description="Largest packed run, in bytes."
    )
    data_dir: Path = Field(default=Path(".sluice"), description="Where `sluice up` keeps its embedded server.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level shown.")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="Lines of JSON, or text for people; auto: text on a terminal."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Given, environment, `.env`, profile: the first one wins. Raises SettingsError for an unfit profile."""
        profile = InitSettingsSource(settings_cls, dict(_profile_values()))
        return init_settings, env_settings, dotenv_settings, profile, file_secret_settings


class _GivenAlone(Settings):
    """The same fields and checks, whatever the environment says."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings gives all sources by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - see above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, and nothing else."""
        return (init_settings,)


class _Places(BaseSettings):
    """Where profiles are, and which one is wanted."""

    model_config = _CONFIG

    profile: str = ""
    config_dir: Path | None = None
    config_home: Path = Field(default=Path("~/.config"), validation_alias="XDG_CONFIG_HOME")


class ActiveProfile(NamedTuple):
    """The profile whose settings count, '' for none; `by` says what chose it."""

    name: str
    by: str


def read_places() -> tuple[Profiles, ActiveProfile]:
    """The user's profiles and the active one, which may not exist. Raises SettingsError for a bad file."""
    try:
        places = _Places()
    except UnicodeDecodeError as error:
        raise _no_text(error) from None
    profiles = read_profiles(places.config_dir or places.config_home.expanduser() / "sluice")
    if places.profile:
        return profiles, ActiveProfile(places.profile, f"{PREFIX}PROFILE")
    return profiles, ActiveProfile(profiles.chosen, "`sluice profile use`")


def _profile_values() -> Mapping[str, Value]:
    """The settings of the active profile. Raises SettingsError when it is not there or has a setting we do not know."""
    profiles, active = read_places()
    if not active.name:
        return {}
    values = profiles.get(active.name, f", which {active.by} chose,")
    check_names(values, f"{profiles.path}, profile {active.name}: ")
    return values


def check_names(values: Mapping[str, object], place: str = "") -> None:
    """Raise SettingsError for what is no setting, with those there are."""
    if unknown := values.keys() - Settings.model_fields.keys():
        known = ", ".join(sorted(Settings.model_fields))
        raise SettingsError(f"{place}{min(unknown)!r} is no setting: one of {known}")


def checked_values(values: Mapping[str, object]) -> dict[str, Value]:
    """The same values as a profile keeps them: known, checked, as text or numbers. Raises SettingsError."""
    check_names(values)
    try:
        settings = _GivenAlone(**dict[str, Any](values))
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error, lambda field: field))) from None
    return settings.model_dump(mode="json", include=set(values))


def read_settings(given: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of this process; `given` holds fields that come before the environment (None: not given).

    Raises SettingsError with one line for each bad value, naming where it came from: environment, `.env`, profile.
    """
    chosen: dict[str, Any] = {field: value for field, value in (given or {}).items() if value is not None}
    try:
        return _with_encryption(_with_credentials(Settings(**chosen), chosen), chosen)
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error, lambda field: _origin(field, chosen)))) from None
    except UnicodeDecodeError as error:
        raise _no_text(error) from None


def _with_credentials(settings: Settings, chosen: Mapping[str, object]) -> Settings:
    """The same with user and password in the address, which is what connects. Raises SettingsError."""
    user, file = settings.redis_username, settings.redis_password_file
    if not user and file is None:
        return settings
    address = urlsplit(settings.redis_url)
    field = "redis_username" if user else "redis_password_file"
    if "@" in address.netloc:
        both = f"{_origin('redis_url', chosen)} has a user or a password, too"
        raise SettingsError(f"{_origin(field, chosen)}: {both}; give them in one place")
    password = "" if file is None else ":" + quote(_secret(file, _origin("redis_password_file", chosen)), safe="")
    netloc = f"{quote(user, safe='')}{password}@{address.netloc}"
    return settings.model_copy(update={"redis_url": urlunsplit(address._replace(netloc=netloc))})


# What redis-py calls them, as parameters of an address: so they reach every connection, sentinels' and members' too.
_ENCRYPTION = {"tls_ca": "ssl_ca_certs", "tls_cert": "ssl_certfile", "tls_key": "ssl_keyfile"}


def _with_encryption(settings: Settings, chosen: Mapping[str, object]) -> Settings:
    """The same with files of certificates in the address. Raises SettingsError."""
    given = {field: getattr(settings, field) for field in _ENCRYPTION if getattr(settings, field) is not None}
    if not given:
        return settings
    first = _origin(next(iter(given)), chosen)
    address = urlsplit(settings.redis_url)
    if not address.scheme.startswith("rediss"):
        raise SettingsError(f"{first}: the address does not encrypt; SLUICE_REDIS_URL has to begin with rediss")
    if ("tls_cert" in given) != ("tls_key" in given):
        raise SettingsError(f"{first}: tls_cert and tls_key go together, a certificate and its key")
    for field, file in given.items():
        _readable(file, _origin(field, chosen))
        if f"{_ENCRYPTION[field]}=" in address.query:
            raise SettingsError(f"{_origin(field, chosen)}: the address has {_ENCRYPTION[field]}, too; give one")
    parameters = urlencode({_ENCRYPTION[field]: file for field, file in given.items()})
    query = "&".join(filter(None, (address.query, parameters)))
    return settings.model_copy(update={"redis_url": urlunsplit(address._replace(query=query))})


def _readable(file: Path, origin: str) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise SettingsError(f"{origin}={str(file)!r}: cannot be read, {error.strerror}") from None


def _secret(file: Path, origin: str) -> str:
    """What a file of one line holds. Raises SettingsError, which does not show it."""
    try:
        text = file.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise SettingsError(f"{origin}={str(file)!r}: cannot be read, {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{origin}={str(file)!r}: is no text in UTF-8") from None
    if not text or "\n" in text:
        raise SettingsError(f"{origin}={str(file)!r}: expected one line, the password")
    return text


def shown(value: object) -> str:
    """A value as it may be shown: without the password of an address."""
    return hide_passwords(str(value))


def _no_text(error: UnicodeDecodeError) -> SettingsError:
    return SettingsError(f".env is not UTF-8 text: {error.reason} at byte {error.start}")


def _origin(field: str, chosen: Mapping[str, object]) -> str:
    """Where the value came from that counted; the order is that of the sources."""
    variable = PREFIX + field.upper()
    if field in chosen:
        return field
    if field in EnvSettingsSource(Settings)():
        return f"environment: {variable}"
    if field in DotEnvSettingsSource(Settings)():
        return f".env: {variable}"
    return f"profile {read_places()[1].name}: {field}"


def _lines(error: ValidationError, origin: Callable[[str], str]) -> list[str]:
    """Say for each bad value where it came from, what it is and what was expected."""
    lines: list[str] = []
    for fault in error.errors(include_url=False, include_context=False):
        field = str(fault["loc"][0]) if fault["loc"] else ""
        value = shown(repr(fault["input"]))[:_SHOWN_CHARACTERS]
        lines.append(f"{origin(field)}={value}: {fault['msg'].removeprefix('Value error, ')}")
    return lines
