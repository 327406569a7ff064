from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from runs_core.errors import InvalidInput
from runs_core.schema.manifest import WRITTEN, Document, read_manifests, validate
from runs_core.schema.missing import whose
from runs_core.values.budget import Budget
from runs_core.values.run import Run

RUN = """
apiVersion: runs.dev/v1alpha1
kind: Run
metadata: {name: train}
spec:
  resources:
    gpus: 8
"""
RESOURCES = "one of flavor, gpus, gpusPerPod"
ALL = "Run, Budget, Node, Namespace, Pod, StorageClass, PersistentVolume, PersistentVolumeClaim"


def read(text: str, kinds: tuple[str, ...] = WRITTEN) -> tuple[Document, ...]:
    return read_manifests(dedent(text), "f.yaml", kinds=kinds)


def refusals(text: str, kinds: tuple[str, ...] = WRITTEN) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read(text, kinds)
    return [str(problem) for problem in caught.value.problems]


def test_a_run_is_read_with_its_place() -> None:
    (found,) = read(RUN)
    assert isinstance(found.value, Run)
    assert (found.kind, found.where, found.value.gpus) == ("Run", "f.yaml:2", 8)


def test_documents_and_lists_are_read_in_order() -> None:
    text = f"""{RUN}---
# nothing here
---
apiVersion: v1
kind: List
items:
- apiVersion: runs.dev/v1alpha1
  kind: Budget
  metadata: {{name: b}}
  spec: {{owner: vision}}
- apiVersion: v1
  kind: Node
  metadata: {{name: n}}
"""
    found = read(text)
    assert [(one.kind, one.where) for one in found] == [
        ("Run", "f.yaml:2"),
        ("Budget", "f.yaml:14"),
        ("Node", "f.yaml:18"),
    ]
    assert isinstance(found[1].value, Budget)
    assert found[2].body == {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}


def test_json_is_read_like_yaml() -> None:
    (found,) = read(RUN)
    for text in (json.dumps(found.body), json.dumps(found.body, indent="\t")):
        (again,) = read(text)
        assert again.value == found.value


def test_json_objects_may_follow_each_other() -> None:
    body = json.dumps(read(RUN)[0].body)
    assert [one.where for one in read(f"{body}\n\n{body}{body}")] == ["f.yaml:1", "f.yaml:3", "f.yaml:3"]


def test_a_status_that_comes_along_is_not_taken_over() -> None:
    (found,) = read(RUN + "status: {phase: Running, reason: x}\n")
    assert isinstance(found.value, Run)
    assert found.value.status.phase == "Queued"


def test_every_problem_is_named_by_line_and_field_with_a_remedy() -> None:
    text = """\
    apiVersion: runs.dev/v1alpha1
    kind: Run
    metadata:
      name: Train
      labels: {team: 5}
    spec:
      resources:
        gpuss: 8
        gpus: 12
        gpusPerPod: 8
      after:
      - b
      - b
      onNodeLoss: requeue
      startTimeout: 15
      topology: {groupGPUs: 4}
      topology: {}
    """
    assert refusals(text) == [
        "f.yaml:4 metadata.name: got 'Train', want lower-case letters, digits, and - or . between them",
        "f.yaml:5 metadata.labels.team: got 5, want text; put it in quotes",
        f"f.yaml:8 spec.resources.gpuss: got an unknown field (did you mean gpus?), want {RESOURCES}",
        "f.yaml:9 spec.resources.gpus: got 12, want a multiple of gpusPerPod",
        "f.yaml:13 spec.after[1]: got 'b' again, as in entry 0, want each once",
        "f.yaml:14 spec.onNodeLoss: got 'requeue' (did you mean Requeue?), want Requeue or Fail",
        "f.yaml:15 spec.startTimeout: got 15, want a duration such as 90s, 30m or 1h30m",
        "f.yaml:17 spec.topology: got this key a second time, want it once",
    ]


def test_a_field_that_is_missing_is_placed_at_what_should_have_it() -> None:
    assert refusals("apiVersion: runs.dev/v1alpha1\nkind: Run\nmetadata: {name: a}\nspec:\n  resources: {}\n") == [
        "f.yaml:5 spec.resources.gpus: got nothing, want a whole number from 1 to 1000000"
    ]


def test_problems_of_all_documents_are_told_at_once() -> None:
    text = """\
    kind: Run
    apiVersion: v1
    ---
    kind: List
    items:
    - 5
    - {apiVersion: v1, kind: Nod, metadata: {name: a}}
    - {apiVersion: v1, kind: Node, metadata: {name: A_b}}
    - {apiVersion: v1, kind: Namespace}
    """
    assert refusals(text) == [
        "f.yaml:2 apiVersion: got 'v1', want runs.dev/v1alpha1",
        "f.yaml:6 items[0]: got 5, want a map with apiVersion, kind and metadata",
        f"f.yaml:7 items[1].kind: got 'Nod' (did you mean Node?), want one of {ALL}",
        "f.yaml:8 items[2].metadata.name: got 'A_b', want lower-case letters, digits, and - or . between them",
        "f.yaml:9 items[3].metadata: got nothing, want a map with a name",
    ]


def test_a_kind_that_the_reader_cannot_use_is_refused() -> None:
    assert refusals(RUN, kinds=("Node", "Budget")) == ["f.yaml:3 kind: got 'Run', want Node or Budget"]
    assert refusals(RUN.replace("Run", "GPULease")) == [f"f.yaml:3 kind: got 'GPULease', want one of {ALL}"]


def test_a_budget_is_of_no_namespace() -> None:
    text = "{apiVersion: runs.dev/v1alpha1, kind: Budget, metadata: {name: a, namespace: b}, spec: {owner: c}}"
    (told,) = refusals(text)
    assert told == "f.yaml:1 metadata.namespace: got a namespace, want none: a Budget belongs to the cluster"


def test_annotations_beyond_what_kubernetes_stores_are_refused() -> None:
    body = {**read(RUN)[0].body, "metadata": {"name": "a", "annotations": {"a": "x" * 200_000, "b": "x" * 100_000}}}
    assert [str(problem) for problem in validate(body)] == [
        "metadata.annotations: got a map, want at most 262144 bytes in all"
    ]


@pytest.mark.parametrize(
    ("kind", "field", "plugin"),
    [
        ("Run", "funding", "budgets"),
        ("Run", "malleable", "elasticity"),
        ("Run", "spares", "spares"),
        ("Budget", "envelopes", "budgets"),
        ("Budget", "parents", "budgets"),
        ("Budget", "aggregateCaps", "budgets"),
    ],
)
def test_a_plugins_field_names_the_plugin(kind: str, field: str, plugin: str) -> None:
    spec = "resources: {gpus: 1}" if kind == "Run" else "owner: a"
    text = f"apiVersion: runs.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  {spec}\n  {field}: {{}}\n"
    (told,) = refusals(text)
    assert told.startswith(f"f.yaml:6 spec.{field}: got a field of the plugin {plugin}, which ")


def test_a_plugin_of_the_source_tree_comes_with_the_command_that_installs_it(tmp_path: Path) -> None:
    assert whose("Run", "spares", tmp_path) == (
        "got a field of the plugin spares, which this release does not contain; remove the field"
    )
    folder = tmp_path / "runs_plugins" / "spares"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    assert whose("Run", "spares", tmp_path) == (
        "got a field of the plugin spares, which is not on: install it with `pip install -e runs_plugins/spares`, "
        "or switch it on"
    )


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{last}'] * 10)}]\n" for last, name in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", f"f.yaml: got no object, want one of {ALL}"),
        ("---\n# nothing\n---\n", f"f.yaml: got no object, want one of {ALL}"),
        ("a: b\nc: \0", "f.yaml:2: got the character U+0000, want text in UTF-8"),
        ("\ud800", "f.yaml:1: got the character U+D800, want text in UTF-8"),
        ("a:\n\tb: c", "f.yaml:2: got a tab at the start of the line, want spaces"),
        ("[" * 100_000, "f.yaml:1: got more than 64 levels of nesting, want fewer"),
        ("{a: " * 100_000, "f.yaml:1: got more than 64 levels of nesting, want fewer"),
        ("a: &a [*a]", "f.yaml:1: got more than 64 levels of nesting, want fewer"),
        ("a: *b", "f.yaml:1: got the alias *b, want an anchor &b before it"),
        (BOMB, "f.yaml:1: got aliases that stand for more than 100000 entries, want them written out"),
        (f"a: &a {'x' * 10_000}\nb: [{','.join(['*a'] * 1000)}]", "f.yaml:1: got aliases that stand for more than"),
        ("5", "f.yaml:1: got 5, want a map with apiVersion, kind and metadata"),
        ("- a", "f.yaml:1: got a list of 1, want a map with apiVersion, kind and metadata"),
        (
            "a: b: c",
            "f.yaml:1: got text that is neither YAML nor JSON (mapping values are not allowed in this context)",
        ),
        ("a: 'b", "f.yaml:1: got text that is neither YAML nor JSON (found unexpected end of stream)"),
        (
            "a: !!python/object:os.system b",
            "f.yaml:1: got the tag tag:yaml.org,2002:python/object:os.system, want plain",
        ),
        ("a: !!binary aaaa", "f.yaml:1: got the tag tag:yaml.org,2002:binary, want plain YAML without tags"),
        ("? [a]\n: b", "f.yaml:1: got a key that is a list or a map, want text"),
        ("<<: 5", "f.yaml:1: got 5 to merge, want a map"),
    ],
)
def test_what_is_no_manifest_is_refused_in_one_sentence(text: str, told: str) -> None:
    (found,) = refusals(text)
    assert found.startswith(told)
    assert "\n" not in found


def test_a_file_beyond_all_sizes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs_core.schema.text.MOST_CHARACTERS", 100)
    assert refusals("#" * 101) == ["f.yaml: got more than 100 characters; split the file, or name another"]
