"""What a function may be called with: checked by pydantic from its signature, or told as a JSON Schema."""

import inspect
from collections.abc import Callable
from typing import Any, cast

from pydantic import ConfigDict, TypeAdapter, validate_call
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def parameter_schema(function: Callable[..., Any]) -> dict[str, Any] | None:
    """The JSON Schema of what a function may be called with; None when its types have none."""
    try:
        found = TypeAdapter[Any](cast("Any", collecting_twin(function))).json_schema()
    except (PydanticUserError, PydanticSchemaGenerationError, PydanticInvalidForJsonSchema):
        return None
    return found if found.get("type") == "object" else None


def collecting_twin(function: Callable[..., Any]) -> Callable[..., Arguments]:
    """A function with the same signature, validated by pydantic, that only collects."""
    signature = inspect.signature(function)

    def collect(*args: Any, **kwargs: Any) -> Arguments:
        return args, kwargs

    collect.__signature__ = signature  # type: ignore[attr-defined] # inspect and pydantic read it
    collect.__annotations__ = {key: value for key, value in function.__annotations__.items() if key != "return"}
    collect.__module__, collect.__qualname__ = function.__module__, function.__qualname__
    return validate_call(config=ConfigDict(arbitrary_types_allowed=True))(collect)
