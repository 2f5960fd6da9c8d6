"""What a deployment says. Names and labels are checked by the rules of runs; each fault has its place."""

import re
from functools import partial
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from ..documents import Seconds, StrictModel, Words, checked_by, faults_of, told
from ..errors import InvalidInput
from ..names import KEYS_AT_MOST, LABELS_AT_MOST, check_labels, check_name
from ..schedules import Schedule
from ..schedules.document import WhenFull

_SHOWN_FAULTS = 10
_WORK = ("function", "command", "entrypoint")
NAME_BYTES, SLUG_BYTES = 100, 120
_ESCAPED = frozenset(" |%,")


def slug_of(name: str) -> str:
    """A deployment's name as it stands in keys and events: `%` and what they cannot hold as `%XX`."""
    return "".join(f"%{ord(letter):02X}" if letter in _ESCAPED else letter for letter in name)


def name_of(slug: str) -> str:
    """The name of a slug."""
    return re.sub("%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), slug)


def check_deployment_name(name: str) -> str:
    """Return the name of a deployment, free text of one line without `/`, or raise InvalidInput."""
    if not name or len(name.encode(errors="replace")) > NAME_BYTES or "/" in name or not name.isprintable():
        raise InvalidInput(f"{name!r} is no deployment name: one line of up to {NAME_BYTES} bytes without `/`")
    if name != name.strip() or len(slug_of(name).encode()) > SLUG_BYTES or name.endswith(":*"):
        raise InvalidInput(f"{name!r} is no deployment name: no blank at its ends, and few blanks, `|` and `%` in it")
    return name


class Concurrency(StrictModel):
    """How many runs of a deployment may be held at once, and what becomes of one more."""

    limit: int = Field(ge=0, le=1_000_000)
    when_full: WhenFull = "wait"


class Cache(StrictModel):
    """A finished run's result is reused by runs with the same key for `ttl` seconds."""

    key: str = Field(min_length=1, max_length=500, description="A template: `report:{{ parameters.day }}`.")
    ttl: Seconds


class Retry(StrictModel):
    """When a run that failed is tried again; as RetryPolicy."""

    retries: int = Field(default=0, ge=0, le=1000)
    delay: Seconds = 1.0
    factor: Annotated[float, Field(ge=0, strict=False)] = 2.0
    max_delay: Seconds = 3600.0
    jitter: Annotated[float, Field(ge=0, le=1, strict=False)] = 0.1


class Deployment(StrictModel):
    """What is run, where, when and how often at once. Durations in seconds."""

    name: Annotated[str, checked_by(check_deployment_name)]
    pool: Annotated[str, checked_by(partial(check_name, "pool"))] = "default"
    queue: Annotated[str, checked_by(partial(check_name, "queue"))] = "default"
    description: str = Field(default="", max_length=10_000)
    version: str | None = Field(default=None, max_length=200, description="For people; each change has a number too.")
    tags: Words = ()
    labels: Annotated[Words, Field(max_length=LABELS_AT_MOST), checked_by(check_labels)] = ()
    function: str | None = Field(default=None, min_length=1, max_length=200)
    command: Words | str | None = Field(default=None, description="Arguments, or with `shell` a text.")
    shell: bool = False
    entrypoint: str | None = Field(default=None, max_length=1000)
    pull: tuple[dict[str, Any], ...] = Field(
        default=(), strict=False, description="Steps before a run: `set_working_directory`, `git_clone`."
    )
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameter_schema: dict[str, Any] | None = Field(default=None, description="JSON Schema of the parameters.")
    job_variables: dict[str, Any] = Field(default_factory=dict)
    keys: Annotated[Words, Field(max_length=KEYS_AT_MOST)] = Field(
        default=(), description="Concurrency keys as templates: `tenant:{{ parameters.tenant }}`."
    )
    concurrency: Concurrency | None = None
    retry: Retry | None = None
    timeout: Seconds | None = None
    expires: Seconds | None = Field(default=None, description="A run not started so long after it was due is dropped.")
    cache: Cache | None = None
    schedules: tuple[Schedule, ...] = Field(default=(), strict=False)
    paused: bool = Field(default=False, description="Its schedules rest; runs by hand go on.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        said = [name for name in _WORK if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"a deployment says one of {', '.join(_WORK)}, this one {' and '.join(said) or 'none'}")
        if self.shell and not isinstance(self.command, str):
            raise ValueError("`shell` is for a command that is one text")
        ids = [schedule.id for schedule in self.schedules]
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        if doubled:
            raise ValueError(f"schedules with the same id: {', '.join(doubled)}; give them an `id` each")
        return self


def read_deployment(given: object) -> Deployment:
    """The deployment of plain values. Raises InvalidInput with all that is wrong, ten faults at most."""
    try:
        return Deployment.model_validate(given)
    except ValidationError as error:
        raise InvalidInput(f"the deployment is not well formed: {told(faults_of(error)[:_SHOWN_FAULTS])}") from None
