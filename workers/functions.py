"""The registry of functions that runs may name, and the check of parameters against their signatures."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from dispatcher import Client
from dispatcher.deployments import Deployment, Stored, read_deployment
from dispatcher.entrypoints.schema import Arguments, collecting_twin, parameter_schema
from dispatcher.errors import InvalidInput

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function. `arguments` validates parameters, raising InvalidInput with every fault."""

    name: str
    function: Callable[..., Any]
    is_async: bool
    arguments: Callable[[dict[str, Any]], Arguments]


class Functions:
    """Functions by name. `@functions.register` takes async functions (run on the loop) and plain ones (in threads)."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    @overload
    def register(self, function: F, /) -> F: ...
    @overload
    def register(self, /, *, name: str | None = None) -> Callable[[F], F]: ...
    def register(self, function: F | None = None, /, *, name: str | None = None) -> F | Callable[[F], F]:
        """Register a function under its own name, or under `name`. The function itself is returned unchanged."""
        if function is None:
            return lambda found: self._add(found, name)
        return self._add(function, name)

    def _add(self, function: F, name: str | None) -> F:
        known = name or function.__name__
        if known in self._handlers:
            raise InvalidInput(f"a function {known!r} is registered already: give one of them a `name=`")
        self._handlers[known] = Handler(known, function, inspect.iscoroutinefunction(function), _validator(function))
        return function

    def get(self, name: str) -> Handler | None:
        """The handler of that name."""
        return self._handlers.get(name)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._handlers)

    def deployment(self, function: str, name: str | None = None, **fields: Any) -> Deployment:
        """A deployment of a registered function, with the schema of its parameters; `fields` as in Deployment.

        Its name is the function's unless one is given. Raises InvalidInput.
        """
        handler = self._handlers.get(function)
        if handler is None:
            raise InvalidInput(f"no function {function!r} is registered: one of {', '.join(self.names()) or 'none'}")
        schema = parameter_schema(handler.function)
        return read_deployment({"name": name or function, "function": function, "parameter_schema": schema, **fields})

    async def deploy(self, client: Client, function: str, name: str | None = None, **fields: Any) -> Stored:
        """Create or change the deployment of a registered function. Raises InvalidInput, PoolNotFound, ServerError."""
        fields.setdefault("pool", client.pool)
        return await client.deployments.put(self.deployment(function, name, **fields))

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())


def _validator(function: Callable[..., Any]) -> Callable[[dict[str, Any]], Arguments]:
    """What the function would be called with, by its parameters."""
    if not inspect.signature(function).parameters:
        return _nothing
    checked = collecting_twin(function)

    def arguments(parameters: dict[str, Any]) -> Arguments:
        try:
            return checked(**parameters)
        except (ValidationError, TypeError) as error:
            raise InvalidInput(_faults(function, error)) from error

    return arguments


def _nothing(parameters: dict[str, Any]) -> Arguments:
    if parameters:
        raise InvalidInput(f"takes no parameters, got {', '.join(sorted(map(str, parameters)))}")
    return (), {}


def _faults(function: Callable[..., Any], error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return f"parameters do not fit {function.__name__}{inspect.signature(function)}: {error}"
    faults = [f"{'.'.join(map(str, fault['loc'])) or 'parameters'}: {fault['msg']}" for fault in error.errors()]
    return f"parameters do not fit {function.__name__}{inspect.signature(function)}: {'; '.join(faults)}"
