"""Parameters against a deployment's JSON Schema (2020-12)."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from ..documents import Fault, pointer_of, told
from ..errors import InvalidInput

_SHOWN = 5


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not read: a schema holds all that it refers to")


def _validator(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(dict(schema), retriever=_refuse)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidInput(f"the parameter schema is no JSON Schema: {str(error).splitlines()[0][:300]}") from None


def parameter_faults(schema: Mapping[str, Any] | None, parameters: Mapping[str, Any], *, whole: bool) -> list[Fault]:
    """What does not fit; not `whole`: parameters that are not there yet may come with the run.

    Raises InvalidInput when the schema itself is not well formed.
    """
    if schema is None:
        return []
    wanted = schema if whole else {name: value for name, value in schema.items() if name != "required"}
    found = _validator(wanted).iter_errors(dict(parameters))
    return [Fault("/parameters" + pointer_of(error.instance_path), error.message) for error in found]


def check_parameters(deployment: str, schema: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> None:
    """Raise InvalidInput with what does not fit, five faults at most."""
    faults = parameter_faults(schema, parameters, whole=True)
    if faults:
        raise InvalidInput(f"the parameters do not fit deployment {deployment!r}: {told(faults[:_SHOWN])}")
