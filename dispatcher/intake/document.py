"""The document that a publisher writes: what it may say, as a model and as a JSON Schema.

The schema is made from the model, so both say the same. Names, labels, keys and commands are checked once more by the
rules of the Python client, which both follow.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .. import tracing
from ..errors import InvalidInput
from ..names import KEY_BYTES, KEYS_AT_MOST, LABEL, LABELS_AT_MOST, NAME

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_WORK = ("function", "command", "entrypoint")
_SHOWN_FAULTS = 3
_LONGEST = 10**10


def _instant(value: object) -> object:
    """Instants are text with a zone; a number would be read as seconds by one and milliseconds by another."""
    if isinstance(value, int | float):
        raise ValueError(f"{value!r} is no instant: text in ISO 8601 with a zone")  # noqa: TRY004 - for pydantic
    if not isinstance(value, str):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:60]!r} is no instant: ISO 8601 such as 2030-01-31T08:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError(f"{value[:60]!r} has no time zone: add Z or an offset such as +01:00")
    return found


def _moment(value: object) -> object:
    """Seconds or an instant; refused here, where one reason can be given for both."""
    if isinstance(value, str) or value is None:
        return _instant(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LONGEST:
        raise ValueError("seconds, 0 or more, or an instant such as 2030-01-31T08:00:00Z")
    return value


def _command(value: object) -> object:
    is_list = isinstance(value, list) and value and all(isinstance(word, str) for word in value)
    if not (is_list or isinstance(value, str) or value is None):
        raise ValueError("a list of texts, the program first, or one text")
    return value


def _says(pattern: str) -> dict[str, Any]:
    return {"pattern": f"^{pattern.removesuffix(chr(92) + 'Z')}$"}


Instant = Annotated[datetime, BeforeValidator(_instant)]
Seconds = Annotated[float, Field(ge=0, lt=_LONGEST)]
Name = Annotated[str, Field(json_schema_extra=_says(NAME.pattern))]
Label = Annotated[str, Field(json_schema_extra=_says(LABEL.pattern))]
Key = Annotated[str, Field(max_length=KEY_BYTES)]
Id = Annotated[str, Field(pattern="^[a-z0-9-]{16,36}$")]
Word = Annotated[str, Field(max_length=200)]


class Retry(BaseModel):
    """When a run that failed is tried again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    retries: int = Field(default=0, ge=0, le=1000, description="How often.")
    delay: Seconds = Field(default=1.0, description="Seconds before the first one.")
    factor: float = Field(default=2.0, ge=0, description="Each delay is so many times the one before.")
    max_delay: Seconds = Field(default=3600.0, description="Seconds; no delay is longer.")
    jitter: float = Field(default=0.1, ge=0, le=1, description="Share of each delay that is drawn at random.")


class Document(BaseModel):
    """A run as any program may publish it. One of function, command and entrypoint; null is the same as left out."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        title="Run",
        json_schema_extra={
            "oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in _WORK]
        },
    )

    function: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Name of a function that is registered with the workers."
    )
    command: Annotated[Annotated[list[str], Field(min_length=1)] | str | None, BeforeValidator(_command)] = Field(
        default=None, description="Arguments, the program first; a text is split as a shell would, or see `shell`."
    )
    entrypoint: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="`path/file.py:function` or `package.module:function`."
    )
    shell: bool | None = Field(default=None, description="The command is one text, a script for `sh -eu -c`.")
    parameters: dict[str, Any] | None = Field(default=None, description="What the function is called with, by name.")
    queue: Name | None = Field(default=None, description="The work queue; `default` when left out.")
    labels: Annotated[list[Label], Field(max_length=LABELS_AT_MOST)] | None = Field(
        default=None, description="What it requires of its worker: `word` or `k=v`."
    )
    keys: Annotated[list[Key], Field(max_length=KEYS_AT_MOST)] | None = Field(
        default=None, description="Concurrency keys, `kind:value`, narrowest first."
    )
    at: Instant | None = Field(default=None, description="Not before this instant.")
    delay: Seconds | None = Field(default=None, description="Not before so many seconds from its arrival.")
    expires: Annotated[Seconds | datetime | None, BeforeValidator(_moment)] = Field(
        default=None, description="Not after this instant, or so many seconds from its arrival."
    )
    retries: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Short for the same in `retry`; comes before it."
    )
    retry: Retry | None = Field(default=None, description="When it is tried again after it failed.")
    timeout: Seconds | None = Field(default=None, description="It fails when it runs longer, in seconds.")
    idempotency_key: Word | None = Field(default=None, description="While this lives, the same key is the same run.")
    idempotency_ttl: Seconds | None = Field(default=None, description="How long it lives, in seconds; a day.")
    name: Word | None = Field(default=None, description="A name for people.")
    tags: list[Word] | None = Field(default=None, description="Words to find it by.")
    id: Id | None = Field(default=None, description="Its run id; one that is known already is the same run.")
    parent: Id | None = Field(default=None, description="The run that this one follows from.")
    job_variables: dict[str, Any] | None = Field(default=None, description="Of its infrastructure.")
    traceparent: Annotated[str, Field(pattern=tracing.PATTERN)] | None = Field(
        default=None, description="W3C trace context."
    )

    @property
    def counts_from_now(self) -> bool:
        """Whether it says a time from its arrival on."""
        return self.delay is not None or isinstance(self.expires, float | int)


_NOT_HERE = {
    "pool": "`pool` must not be there: the name of the stream says it",
    "source": "`source` must not be there: it is that of the stream",
}


def read_document(value: object) -> Document:
    """The document of a decoded value. Raises InvalidInput with what is wrong, the first three faults."""
    try:
        return Document.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        lines = dict.fromkeys(_line(fault["loc"], fault["type"], fault["msg"]) for fault in faults)
        raise InvalidInput("; ".join(list(lines)[:_SHOWN_FAULTS])) from None


def _line(where: tuple[int | str, ...], kind: str, said: str) -> str:
    place = ".".join(str(part) for part in where)[:100]
    if kind == "extra_forbidden":
        known = ", ".join(Retry.model_fields if len(where) > 1 else Document.model_fields)
        return _NOT_HERE.get(place) or f"{place!r} is not known: one of {known}"
    if not where:
        return "it is no map of names to values"
    return f"{place}: {said.removeprefix('Value error, ')}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document."""
    return {"$schema": DIALECT, **Document.model_json_schema()}
