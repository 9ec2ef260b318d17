"""
What of other projects' kinds the manifests use, written down from their definitions: KEDA's `keda.sh_scaledobjects.yaml`,
the Prometheus operator's `monitoring.coreos.com_podmonitors.yaml`, and https://kubectl.docs.kubernetes.io/references/kustomize/.
A field that is not here is refused, so that a misspelt one is seen.
"""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
DURATION = {"type": "string", "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "minLength": 2}


def record(needed: dict[str, Any], **further: Any) -> dict[str, Any]:
    """An object that has all of `needed` and may have `further`."""
    properties = {**needed, **further}
    return {"type": "object", "properties": properties, "required": list(needed), "additionalProperties": False}


def several(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


def kind(version: str, name: str, **parts: Any) -> dict[str, Any]:
    return record({"apiVersion": {"const": version}, "kind": {"const": name}, **parts})


METADATA = record({"name": TEXT})
POLICY = record(
    {"type": {"enum": ["Pods", "Percent"]}, "value": COUNT, "periodSeconds": {"type": "integer", "maximum": 1800}}
)
RULES = record({}, stabilizationWindowSeconds={**COUNT, "maximum": 3600}, policies=several(POLICY))
BEHAVIOR = record({}, scaleUp=RULES, scaleDown=RULES)
PROMETHEUS = record({"serverAddress": TEXT, "query": TEXT, "threshold": {"type": "string", "pattern": "^[0-9]+$"}})

SCHEMAS = {
    "ScaledObject": kind(
        "keda.sh/v1alpha1",
        "ScaledObject",
        metadata=METADATA,
        spec=record(
            {
                "scaleTargetRef": record({"name": TEXT}, apiVersion=TEXT, kind=TEXT),
                "triggers": several(record({"type": {"const": "prometheus"}, "metadata": PROMETHEUS})),
            },
            minReplicaCount=COUNT,
            maxReplicaCount=COUNT,
            pollingInterval=COUNT,
            cooldownPeriod=COUNT,
            advanced=record({}, horizontalPodAutoscalerConfig=record({}, behavior=BEHAVIOR)),
        ),
    ),
    "PodMonitor": kind(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        metadata=METADATA,
        spec=record(
            {
                "selector": record({"matchLabels": {"type": "object", "additionalProperties": TEXT}}),
                "podMetricsEndpoints": several(record({"port": TEXT}, path=TEXT, interval=DURATION)),
            }
        ),
    ),
    "Kustomization": kind(
        "kustomize.config.k8s.io/v1beta1",
        "Kustomization",
        namespace=TEXT,
        resources=several(TEXT),
        images=several(record({"name": TEXT, "newTag": TEXT})),
    ),
}
