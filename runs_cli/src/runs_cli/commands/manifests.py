"""`runs manifests`: Kubernetes objects as YAML."""

from __future__ import annotations

from collections.abc import Callable

import click

from runs_cli.command import LazyGroup, Place, declare

Wrapper = Callable[[Callable[[], None]], Callable[[], None]]
CRDS = ("Teach a cluster the kinds:", "runs manifests crds | kubectl apply --server-side -f -")
APPLY = "| kubectl apply --server-side -f -"


def _options(*options: Wrapper) -> Wrapper:
    """Several as one decorator, shown in this order."""

    def decorate(function: Callable[[], None]) -> Callable[[], None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


WHERE = _options(
    click.option("-n", "--namespace", metavar="NAME", help="Where the scheduler is; runs-system unless named."),
    click.option("--service-account", metavar="NAME", default="runs", show_default=True, help="As whom it acts."),
)
MODE = click.option(
    "--policy-mode",
    type=click.Choice(["off", "warn", "deny"]),
    default="warn",
    show_default=True,
    help="What happens to a GPU pod that passes the scheduler by.",
)
SERVER = click.option(
    "--kubernetes",
    metavar="VERSION",
    default="1.36",
    show_default=True,
    help="Of the API server; one before 1.36 is spared the policies that it does not know, and nothing is lost by it.",
)
REACH = _options(
    click.option("--webhook-url", metavar="URL", help="Where the API server reaches the scheduler: https://HOST:PORT."),
    click.option("--webhook-service", metavar="NAME", help="Or the Service before it, in its namespace, port 443."),
    click.option(
        "--ca-file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Who signed its certificate; without it, the scheduler makes one and says so in the configurations.",
    ),
    click.option(
        "--failure-policy",
        type=click.Choice(["Ignore", "Fail"]),
        default="Ignore",
        show_default=True,
        help="While it does not answer: go by the CRDs' rules alone, or refuse every Run and Budget.",
    ),
)


@declare("crds", examples=(CRDS, ("What are they called?", "runs manifests crds -o name")))
def crds() -> None:
    """The CustomResourceDefinitions of core, with the sections of the plugins that are on."""


@declare(
    "rbac",
    examples=(
        ("Let a scheduler in:", f"runs manifests rbac {APPLY}"),
        ("One that runs elsewhere, as somebody else:", f"runs manifests rbac -n team --service-account gang {APPLY}"),
    ),
)
@WHERE
def rbac() -> None:
    """Namespace, ServiceAccount and roles: the scheduler's rights, as core and the plugins that are on declare them.

    And three roles for people, to be bound by whoever knows them: runs-view, in the whole cluster, sees; runs-user, in
    a namespace, submits there; runs-admin keeps budgets as well. Kubernetes' own view, edit and admin have the same
    rights from then on.
    """


@declare(
    "policies",
    examples=(
        ("Warn about GPU pods that pass the scheduler by:", f"runs manifests policies {APPLY}"),
        ("Refuse them:", f"runs manifests policies --policy-mode deny {APPLY}"),
    ),
)
@WHERE
@MODE
@SERVER
def policies() -> None:
    """Admission policies: GPU pods go through runs; leases, statuses and its labels are the scheduler's alone.

    They are in force while no scheduler runs, too. The resources that count as GPUs are those of the settings. A
    namespace with the label runs.dev/gpu-pods=unmanaged keeps its GPU pods to itself.
    """


@declare(
    "webhooks",
    examples=(
        (
            "For a scheduler outside the cluster:",
            f"runs manifests webhooks --webhook-url https://10.0.0.5:9443 {APPLY}",
        ),
        ("Behind a Service:", f"runs manifests webhooks --webhook-service runs-webhook {APPLY}"),
    ),
)
@WHERE
@REACH
def webhooks() -> None:
    """The webhook configurations: defaults for runs, and the command line's sentences for what is wrong with them."""


@declare(
    "all",
    examples=(("Everything:", f"runs manifests all --webhook-url https://10.0.0.5:9443 {APPLY}"),),
)
@WHERE
@MODE
@SERVER
@REACH
def everything() -> None:
    """CRDs, roles, policies and webhooks, in the order in which they are applied.

    Without --webhook-url and --webhook-service there are no webhooks among them: the CRDs hold nearly all of the rules
    by themselves.
    """


_HERE = "runs_cli.commands.manifests"
manifests = LazyGroup(
    name="manifests",
    help="The Kubernetes objects that runs and the plugins that are on need, as YAML for kubectl apply.",
    places={
        "all": Place(f"{_HERE}:everything", "All of them."),
        "crds": Place(f"{_HERE}:crds", "CustomResourceDefinitions."),
        "policies": Place(f"{_HERE}:policies", "Admission policies."),
        "rbac": Place(f"{_HERE}:rbac", "ServiceAccount, roles and bindings."),
        "webhooks": Place(f"{_HERE}:webhooks", "Webhook configurations."),
    },
    examples=(CRDS, ("Everything:", f"runs manifests all {APPLY}")),
)
