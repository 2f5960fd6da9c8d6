"""The template that a worker type brings: made from its typed configuration, every field a variable."""

from typing import Any

from pydantic import BaseModel

_OLD, _NEW = "#/$defs/", "#/definitions/"


def template_of(configuration: type[BaseModel]) -> dict[str, Any]:
    """A template in which each field of a configuration is a variable of the same name, with its schema and default."""
    schema = _moved(configuration.model_json_schema())
    names = list(schema.get("properties", {}))
    variables = {name: schema[name] for name in ("properties", "required", "$defs") if name in schema}
    if "$defs" in variables:
        variables["definitions"] = variables.pop("$defs")
    return {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in names},
        "variables": {"type": "object", "properties": {}, **variables},
    }


def _moved(schema: Any) -> Any:
    """With references into `definitions`, where templates keep them."""
    if isinstance(schema, dict):
        return {
            name: part.replace(_OLD, _NEW, 1) if name == "$ref" and isinstance(part, str) else _moved(part)
            for name, part in schema.items()
        }
    return [_moved(part) for part in schema] if isinstance(schema, list) else schema
