"""`runs top`: the fleet."""

from __future__ import annotations

from runs_cli.command import declare


@declare(
    "top",
    examples=(
        ("What is free, and where:", "runs top"),
        ("The widest gang that one domain could start now:", "runs top -o json | jq '.flavors[].largestGang'"),
    ),
)
def top() -> None:
    """GPUs by flavor and fabric domain.

    LARGEST is the widest run of one-GPU pods that fits into one domain now: far below FREE, the fleet is fragmented.
    SPARE and UNFUNDED are shown where there are any. A domain is region/cluster/domain, without what no label names.
    UNAVAILABLE are GPUs that nobody holds on nodes that take nothing new, and those that other pods use.
    """
