"""Base job templates of pools: the one that was set, or that of the pool's worker type."""

import json
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from ..documents import Fault
from ..errors import InvalidInput
from ..job_template import InvalidTemplate, check_template, template_of
from ..store.pools import StoredTemplate

GROUP = "sluice.workers"
LARGEST = 262_144


def effective_template(stored: StoredTemplate) -> dict[str, Any]:
    """What governs the pool's runs. Raises InvalidInput when its worker type is not installed here."""
    if not stored.text:
        return default_template(stored.worker_type)
    found: dict[str, Any] = json.loads(stored.text)
    return found


def default_template(worker_type: str) -> dict[str, Any]:
    """The template that a worker type brings. Raises InvalidInput when it is not installed here."""
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    if worker_type not in known:
        raise InvalidInput(f"worker type {worker_type!r} is not installed here, so its template is not known")
    try:
        found = known[worker_type].load().configuration
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"the template of worker type {worker_type!r} cannot be read here: {error}") from error
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise InvalidInput(f"worker type {worker_type!r} has no typed configuration")
    return template_of(found)


def checked_text(worker_type: str, template: Mapping[str, Any]) -> str:
    """A template as it is kept. Raises InvalidTemplate, InvalidInput."""
    if worker_type == "function":
        raise InvalidInput("function workers execute runs inside themselves and read no template: choose another pool")
    if found := check_template(template):
        raise InvalidTemplate(found)
    text = json.dumps(template, ensure_ascii=False, separators=(",", ":"))
    if (size := len(text.encode())) > LARGEST:
        raise InvalidTemplate([Fault("", f"is {size:,} bytes, {LARGEST:,} are allowed")])
    return text
