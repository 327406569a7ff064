"""docs/reference/simulated.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from docs.generate.text import code, head, table

from runs_core.cluster import kubelet
from runs_core.cluster.trace import jsonl
from runs_core.settings import LocalSettings
from runs_core.values.meta import SIMULATED
from runs_core.values.quantity import format_duration

MEANS: Mapping[str, tuple[str, str]] = {
    "duration": ("duration", "How long a pod runs before it ends. Without it, it runs until something ends it."),
    "start": ("duration, or `Never`", "From made to running. With `Never` the pod stays Pending."),
    "shutdown": ("duration", "From SIGTERM to gone; never longer than the pod's grace."),
    "exit-code": ("text", "What a pod ends with after its duration. `0` succeeds."),
    "failing-ranks": ("ranks, such as `3` or `0,5`", "Only these ranks fail; the exit code is 1 unless named."),
    "failures": ("count", "Only so many tries of the gang fail; the exit code is 1 unless named."),
}
WORDS = """
Nothing really runs on the embedded cluster, nor in a simulation. A simulated kubelet plays the pods of a run by the
annotations of the run. An annotation of the run's template counts more than the same one of the run.
"""
AFTER = f"""
Starts of the run and restarts of its gang count as tries alike. A duration that cannot be read counts as not said.
A pod on a lost node, or on a node that is gone, does nothing more; it ends when the scheduler takes it away.

A trace of `runs simulate --format jsonl` also reads `{jsonl.ARRIVAL}` of a run: when it is submitted,
as a duration from the start of the trace.
"""


def read() -> frozenset[str]:
    """The annotations that the kubelet looks at: texts of lower-case words in its functions."""
    module = ast.parse(Path(str(kubelet.__file__)).read_text(encoding="utf-8"))
    places = (part for part in module.body if isinstance(part, ast.FunctionDef | ast.ClassDef))
    nodes = (node for place in places for node in ast.walk(place))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(text for text in texts if re.fullmatch(r"[a-z]+(-[a-z]+)*", text))


def _default(name: str) -> str:
    settings = LocalSettings()
    known = {"start": ("local.podStart", settings.pod_start), "shutdown": ("local.podStop", settings.pod_stop)}
    if name not in known:
        return "none"
    path, value = known[name]
    return f"the setting `{path}` ({format_duration(value)})"


def page() -> str:
    """The whole page. LookupError: the kubelet reads another annotation than the page tells of."""
    if read() != set(MEANS):
        raise LookupError(f"docs.generate.simulated: differs from the kubelet in {sorted(read() ^ set(MEANS))}")
    rows = [[code(SIMULATED + name), wants, _default(name), says] for name, (wants, says) in MEANS.items()]
    start = head("The simulated kubelet", "runs_core/cluster/kubelet.py", WORDS)
    return start + "\n" + table(["annotation", "wants", "default", "says"], rows) + AFTER
