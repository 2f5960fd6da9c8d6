"""What Kubernetes takes of a Deployment, as far as our unit goes: nothing unknown, nothing of another type."""

from typing import Any

_DNS = {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
_TEXT = {"type": "string", "minLength": 1}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_COUNT = {"type": "integer", "minimum": 0}
_LABELS = {
    "type": "object",
    "propertyNames": {"pattern": "^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"},
    "additionalProperties": {"type": "string", "pattern": "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"},
}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(required), "additionalProperties": False,
    }  # fmt: skip


_PROBE = _object(
    ("httpGet",),
    httpGet=_object(("port",), path=_TEXT, port={"anyOf": [_PORT, {"type": "string", "maxLength": 15}]}),
    periodSeconds={"type": "integer", "minimum": 1},
    timeoutSeconds={"type": "integer", "minimum": 1},
    failureThreshold={"type": "integer", "minimum": 1},
)
_SECRET = _object(("secretKeyRef",), secretKeyRef=_object(("name", "key"), name=_DNS, key=_TEXT))
_CONTAINER = _object(
    ("name", "image"),
    name=_DNS,
    image=_TEXT,
    command={"type": "array", "items": {"type": "string"}},
    env={
        "type": "array",
        "items": _object(("name",), name=_TEXT, value={"type": "string"}, valueFrom=_SECRET),
    },
    workingDir=_TEXT,
    securityContext=_object((), runAsUser=_COUNT),
    ports={"type": "array", "items": _object(("containerPort",), name=_DNS, containerPort=_PORT)},
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
)
_POD = _object(
    ("containers",),
    terminationGracePeriodSeconds=_COUNT,
    containers={"type": "array", "minItems": 1, "items": _CONTAINER},
)
DEPLOYMENT = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "apps/v1"},
    kind={"const": "Deployment"},
    metadata=_object(("name",), name=_DNS, labels=_LABELS),
    spec=_object(
        ("selector", "template"),
        replicas=_COUNT,
        selector=_object(("matchLabels",), matchLabels=_LABELS),
        template=_object(("metadata", "spec"), metadata=_object(("labels",), labels=_LABELS), spec=_POD),
    ),
)
