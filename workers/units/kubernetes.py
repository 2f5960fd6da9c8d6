"""Workers as a Deployment of Kubernetes."""

import re
from typing import Any

from dispatcher.errors import InvalidInput

from .unit import Unit
from .yaml import yaml_of

_ADDRESS_KEY = "url"


def kubernetes(unit: Unit) -> str:
    """Text of a manifest: a Deployment that reads the server's address from a secret."""
    name = _label(unit.name)
    labels = {"app.kubernetes.io/name": "sluice-worker", "app.kubernetes.io/instance": name}
    pod = {"terminationGracePeriodSeconds": unit.stop_seconds, "containers": [_container(unit)]}
    return yaml_of({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": unit.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    })  # fmt: skip


def _container(unit: Unit) -> dict[str, Any]:
    secret = {"secretKeyRef": {"name": _label(unit.address), "key": _ADDRESS_KEY}}
    container: dict[str, Any] = {
        "name": "worker",
        "image": unit.image,
        "command": [_plain(word) for word in unit.command],
        "env": [{"name": "SLUICE_REDIS_URL", "valueFrom": secret}],
    }
    if unit.folder:
        container["workingDir"] = unit.folder
    if unit.user:
        container["securityContext"] = {"runAsUser": _number(unit.user)}
    if port := unit.health_port:
        container["ports"] = [{"name": "health", "containerPort": port}]
        container["livenessProbe"] = {**_probe("/livez"), "failureThreshold": 6}
        container["readinessProbe"] = _probe("/readyz")
    return container


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "health"}, "periodSeconds": 10, "timeoutSeconds": 5}


def _label(text: str) -> str:
    """A name as Kubernetes has them: small letters, digits and `-`."""
    found = re.sub(r"[^a-z0-9-]+", "-", text.lower())[:63].strip("-")
    if not found:
        raise InvalidInput(f"{text!r} is no name for Kubernetes: it has no letter and no digit")
    return found


def _number(user: str) -> int:
    if not user.isdecimal():
        raise InvalidInput(f"--user {user!r} is no number: Kubernetes wants the number of a user")
    return int(user)


def _plain(text: str) -> str:
    """A `$(` begins a variable."""
    return text.replace("$(", "$$(")
