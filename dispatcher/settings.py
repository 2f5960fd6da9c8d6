"""Settings: what the environment says, read once, when a service or a command starts.

Every field is a variable: `lease_seconds` is `SLUICE_LEASE_SECONDS`. A value that is given by hand comes first, then
the environment, then a file `.env` in the working directory, then the default. Importing pydantic takes a tenth of a
second, so whoever must start quickly imports this module late.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import SettingsError
from .redaction import hide_passwords

PREFIX = "SLUICE_"
_SHOWN_CHARACTERS = 200


def _redis_url(url: str) -> str:
    """Refuse what redis-py would misread only at the first command."""
    if re.match(r"(redis|rediss|unix)://.", url) is None:
        raise ValueError("expected redis://, rediss:// or unix:// and an address")
    return url


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Settings(BaseSettings):
    """How one process of Sluice behaves. Make it with `read_settings`, whose errors name the variable."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field(
        default="redis://127.0.0.1:6379/0", description="Address of the Redis or Valkey server."
    )
    pool: Name = Field(default="default", description="The work pool when a command names none.")
    lease_seconds: float = Field(
        default=15, ge=0.2, le=3600, description="How long a silent worker keeps its runs, in seconds."
    )
    tick_ms: int = Field(default=250, ge=10, le=60_000, description="Pause between two rounds of the caretaker.")
    block_ms: int = Field(default=2_000, ge=100, le=60_000, description="Longest blocking read of an inbox.")
    batch: int = Field(default=64, ge=1, le=64, description="Runs admitted, promoted or reclaimed by one script call.")
    payload_limit: int = Field(
        default=512 * 1024, ge=1_024, le=1_024 * 1_024, description="Largest packed run, in bytes."
    )
    data_dir: Path = Field(default=Path(".sluice"), description="Where `sluice up` keeps its embedded server.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level shown.")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="Lines of JSON, or text for people; auto: text on a terminal."
    )


def read_settings(given: Mapping[str, object] | None = None) -> Settings:
    """Return the settings of this process; `given` holds fields that come before the environment (None: not given).

    Raises SettingsError with one line for each bad value, naming its variable.
    """
    chosen: dict[str, Any] = {field: value for field, value in (given or {}).items() if value is not None}
    try:
        return Settings(**chosen)
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error, chosen))) from None
    except UnicodeDecodeError as error:
        raise SettingsError(f".env is not UTF-8 text: {error.reason} at byte {error.start}") from None


def _lines(error: ValidationError, chosen: Mapping[str, object]) -> list[str]:
    """Say for each bad value where it came from, what it is and what was expected."""
    lines: list[str] = []
    for fault in error.errors(include_url=False, include_context=False):
        field = str(fault["loc"][0]) if fault["loc"] else ""
        source = field if field in chosen else PREFIX + field.upper()
        value = hide_passwords(repr(fault["input"]))[:_SHOWN_CHARACTERS]
        lines.append(f"{source}={value}: {fault['msg'].removeprefix('Value error, ')}")
    return lines
