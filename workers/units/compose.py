"""A worker as a service of Docker Compose."""

from typing import Any

from .unit import Unit
from .yaml import yaml_of

_ADDRESS = "${SLUICE_REDIS_URL:?is the address of the server, in the environment or in the file .env}"
_PROBE = "import urllib.request as u; u.urlopen('http://127.0.0.1:{port}/livez', timeout=5)"


def compose(unit: Unit) -> str:
    """Text of a compose file with one service."""
    service: dict[str, Any] = {
        "image": _plain(unit.image),
        "command": [_plain(word) for word in unit.command],
        "environment": {"SLUICE_REDIS_URL": _ADDRESS},
        "init": True,
        "restart": "on-failure",
        "stop_signal": "SIGTERM",
        "stop_grace_period": f"{unit.stop_seconds}s",
    }
    if unit.user:
        service["user"] = _plain(unit.user)
    if unit.folder:
        service["working_dir"] = _plain(unit.folder)
    if unit.health_port:
        service["healthcheck"] = {
            "test": ["CMD", "python3", "-c", _PROBE.format(port=unit.health_port)],
            "interval": "10s", "timeout": "10s", "retries": 3, "start_period": "30s",
        }  # fmt: skip
    return yaml_of({"services": {unit.name: service}})


def _plain(text: str) -> str:
    """A `$` begins a variable."""
    return text.replace("$", "$$")
