"""What documents that people write share: types of their fields, and faults told with their places.

A document is read from Python, YAML or JSON; what it says is checked once, here, and every fault is told at once.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from .durations import seconds_of
from .errors import InvalidInput

LONGEST_SECONDS = 10**10
T = TypeVar("T")


class Fault(NamedTuple):
    """What is wrong, and where: a JSON pointer into the document ('' for all of it)."""

    pointer: str
    text: str


def told(faults: Iterable[Fault]) -> str:
    """Faults in a line: each with its place, but for what is wrong with the whole."""
    return "; ".join(f"{fault.pointer}: {fault.text}" if fault.pointer else fault.text for fault in faults)


def pointer_of(where: Iterable[int | str]) -> str:
    """The JSON pointer (RFC 6901) of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in where)


def checked_by(check: Callable[[T], T]) -> AfterValidator:
    """A check that raises InvalidInput, for a field."""

    def validate(value: T) -> T:
        try:
            return check(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    return AfterValidator(validate)


def _seconds(value: object) -> object:
    """A number of seconds, or text such as `5m`; whole ones become ints, so that they are written as people do."""
    if isinstance(value, str):
        try:
            value = seconds_of(value)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LONGEST_SECONDS:
        raise ValueError(f"{value!r} is no duration: seconds, 0 or more, or text such as 5m")
    return float(value)


def _instant(value: object) -> object:
    """Instants have a zone; YAML reads them as datetimes, JSON has text."""
    if isinstance(value, str):
        try:
            return _instant(datetime.fromisoformat(value))
        except ValueError as error:
            if "time zone" in str(error):
                raise
            raise ValueError(f"{value[:60]!r} is no instant: ISO 8601 such as 2030-01-31T08:00:00Z") from None
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no instant: text in ISO 8601 with a zone")  # noqa: TRY004 - for pydantic
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone: add Z or an offset such as +01:00")
    return value


def _written(seconds: float) -> Any:
    return int(seconds) if seconds == int(seconds) else seconds


Seconds = Annotated[float, BeforeValidator(_seconds), PlainSerializer(_written)]
Instant = Annotated[datetime, BeforeValidator(_instant), PlainSerializer(datetime.isoformat)]
Words = Annotated[tuple[str, ...], Field(strict=False)]


class StrictModel(BaseModel):
    """A part of a document: frozen; unknown fields and wrong types are faults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def document(self) -> dict[str, Any]:
        """What it says, as plain values, without what is left at its default."""
        return self.model_dump(mode="json", exclude_defaults=True)


def faults_of(error: ValidationError, inside: str = "") -> list[Fault]:
    """What pydantic found, in our words; `inside` is the pointer of the part that was read."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Fault(
            inside + pointer_of(fault["loc"]),
            "is not known here" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, "),
        )
        for fault in found
    ]
