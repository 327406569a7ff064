"""The webhook configurations: what the API server asks the scheduler before it stores a Run or a Budget."""

from __future__ import annotations

import base64
from enum import StrEnum

import attrs

from runs_core.cluster.kube.rights import WEBHOOKS
from runs_core.schema.convert import Object
from runs_core.schema.names import BUDGET, GROUP, RUN, VERSION
from runs_core.serve.manifests.installation import Installation
from runs_core.serve.manifests.validations import SYSTEM
from runs_core.serve.webhook.review import DEFAULT_PATH, VALIDATE_PATH

_VERSION = "admissionregistration.k8s.io/v1"
TIMEOUT_SECONDS = 5
DEFAULTING, VALIDATING = f"default.{GROUP}", f"validate.{GROUP}"


class FailurePolicy(StrEnum):
    """What the API server does while no scheduler answers.

    Ignore: it stores what the CRDs alone let pass, which hold nearly all of the rules; a run without a flavor stays
    without one. Fail: nobody submits or changes anything in that time.
    """

    IGNORE = "Ignore"
    FAIL = "Fail"


@attrs.frozen(kw_only=True)
class ByUrl:
    """A scheduler outside the cluster. base: https://HOST:PORT, as the API server reaches it."""

    base: str

    def client(self, path: str) -> Object:
        return {"url": f"{self.base.rstrip('/')}{path}"}


@attrs.frozen(kw_only=True)
class ByService:
    """A scheduler behind a Service in its own namespace."""

    namespace: str
    name: str
    port: int = 443

    def client(self, path: str) -> Object:
        return {"service": {"namespace": self.namespace, "name": self.name, "path": path, "port": self.port}}


def webhooks(
    installation: Installation,
    reach: ByUrl | ByService,
    *,
    authority: str | None = None,
    failure: FailurePolicy = FailurePolicy.IGNORE,
) -> list[Object]:
    """authority: PEM of what signed the certificate; None: the scheduler makes its own, and puts it there by itself."""
    trust = {} if authority is None else {"caBundle": base64.b64encode(authority.encode()).decode()}

    def hook(name: str, path: str) -> Object:
        return {
            "name": name,
            "clientConfig": {**reach.client(path), **trust},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "failurePolicy": failure.value,
            "matchPolicy": "Equivalent",
            "namespaceSelector": {
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [SYSTEM]}]
            },
            # what is on its way out is not held up
            "matchConditions": [{"name": "stays", "expression": "!has(object.metadata.deletionTimestamp)"}],
            "rules": [
                {
                    "apiGroups": [GROUP],
                    "apiVersions": [VERSION],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": [BUDGET.plural, RUN.plural],
                    "scope": "*",
                }
            ],
        }

    return [
        {
            **installation.object(_VERSION, "MutatingWebhookConfiguration", WEBHOOKS),
            "webhooks": [{**hook(DEFAULTING, DEFAULT_PATH), "reinvocationPolicy": "Never"}],
        },
        {
            **installation.object(_VERSION, "ValidatingWebhookConfiguration", WEBHOOKS),
            "webhooks": [hook(VALIDATING, VALIDATE_PATH)],
        },
    ]
