from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from runs_core.errors import InvalidInput, PluginError
from runs_core.schema.crd import crds
from runs_core.schema.jsonschema import json_schema
from runs_core.schema.manifest import validate
from runs_core.schema.names import KINDS
from runs_core.values.fields import Fact, Rule, field, rules
from runs_core.values.run import RunSpec
from runs_core.values.section import Section, section


@rules(
    Rule(
        cel="self.least <= self.most",
        message="want no more than most",
        field="least",
        check=lambda w: w.least <= w.most,
    )
)
@attrs.frozen(kw_only=True)
class Width:
    least: int = field(Fact(doc="GPUs at least.", minimum=1), default=1)
    most: int = field(Fact(doc="GPUs at most.", minimum=1))


@attrs.frozen(kw_only=True)
class Pace:
    pace: timedelta = field(Fact(doc="How fast."), default=timedelta(minutes=5))


@attrs.frozen(kw_only=True)
class Color:
    color: str = field(Fact(doc="Which color.", pattern="[a-z]+"), default="blue")


WIDTH = Section(plugin="elastic", kind="Run", name="width", cls=Width)
PACE = Section(plugin="pacing", kind="Run", name="width", cls=Pace)
COLOR = Section(plugin="colors", kind="Run", name="", cls=Color)
SECTIONS = (WIDTH, PACE, COLOR)


def spec_of(kind: str, *sections: Section) -> dict[str, Any]:
    crd = next(crd for crd in crds(sections) if crd["spec"]["names"]["kind"] == kind)
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def everything(schema: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    if isinstance(schema, list):
        return [part for one in schema for part in everything(one)]
    return [schema, *everything(list(schema.values()))] if isinstance(schema, dict) else []


def test_every_kind_has_columns_and_a_status_that_is_written_by_itself_but_for_leases() -> None:
    plurals = ("budgets", "reservations", "resolutions", "runs")
    apart: dict[str, object] = {**{plural: {"status": {}} for plural in plurals}, "gpuleases": None}
    for crd in crds():
        (version,) = crd["spec"]["versions"]
        assert version.get("subresources") == apart[crd["spec"]["names"]["plural"]]
        assert version["additionalPrinterColumns"]
    names = ["budgets", "gpuleases", "reservations", "resolutions", "runs"]
    assert [crd["metadata"]["name"] for crd in crds()] == [f"{name}.runs.dev" for name in names]


def test_what_has_one_author_is_one_entry_of_whose_each_field_is() -> None:
    atomic = {
        (crd["spec"]["names"]["kind"], part)
        for crd in crds()
        for part, schema in crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].items()
        if schema.get("x-kubernetes-map-type") == "atomic"
    }
    kinds = {"Run", "Budget", "GPULease", "Reservation", "Resolution"}
    assert atomic == {*((kind, "status") for kind in kinds), ("GPULease", "spec")}


@rules(
    Rule(
        cel="self.least >= oldSelf.least",
        message="want no less than before",
        field="least",
        change=lambda old, new: new.least >= old.least,
    )
)
@attrs.frozen(kw_only=True)
class Growing:
    least: int = field(Fact(doc="GPUs at least.", minimum=1), default=1)


@attrs.frozen(kw_only=True)
class Plan:
    step: Growing = field(Fact(doc="Never less."), default=Growing())


def whole(spec: dict[str, Any]) -> set[str]:
    return {name for name, part in spec["properties"].items() if part.get("x-kubernetes-map-type") == "atomic"}


def test_a_part_of_a_spec_has_one_author_unless_a_rule_in_it_compares_with_what_was_before() -> None:
    grows = Section(plugin="growth", kind="Run", name="grows", cls=Growing)
    plan = Section(plugin="plans", kind="Run", name="plan", cls=Plan)
    found = spec_of("Run", WIDTH, grows, plan)
    parts = {"afterFailure", "onPodFailure", "resources", "runtime", "template", "topology", "width"}
    assert whole(found) == {*parts, "grows"}, "the API server asks a part's own rules, but none inside"
    assert "x-kubernetes-map-type" not in found, "who suspends a run need not say what else it is"


def filled(part: dict[str, Any]) -> set[str]:
    return {name for name, member in part["properties"].items() if "default" in member}


def test_of_a_status_columns_are_filled_in_and_no_more() -> None:
    found = {}
    for crd in crds():
        (version,) = crd["spec"]["versions"]
        status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
        columns = {column["jsonPath"].rpartition(".")[2] for column in version["additionalPrinterColumns"]}
        found[crd["spec"]["names"]["kind"]] = set(status["default"]) | filled(status)
        assert found[crd["spec"]["names"]["kind"]] <= columns
        assert sum("default" in part for part in everything(status)) == len(filled(status)) + 1, "none is deeper"
    assert found["Run"] == {"phase", "reason", "width"}
    assert found["GPULease"] == {"closed"}


def test_what_nobody_says_is_left_out_of_a_spec_unless_a_rule_looks_at_it() -> None:
    spec = spec_of("Run")
    assert filled(spec) == {"canceled", "topology"}
    assert filled(spec["properties"]["topology"]) == {"spread"}
    assert filled(spec["properties"]["resources"]) == {"gpusPerPod"}
    assert filled(spec["properties"]["onPodFailure"]) == {"policy", "limit", "backoff"}, "what is said in part"
    wide = Section(plugin="colors", kind="Run", name="", cls=Color, rules=(MATCHED,))
    assert filled(spec_of("Run", wide)) == {"canceled", "color", "topology"}
    assert filled(spec_of("Run", COLOR)) == {"canceled", "topology"}


OPEN = "x-kubernetes-preserve-unknown-fields"


def part_of(kind: str, part: str) -> dict[str, Any]:
    crd = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == kind)
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    return found


def test_what_the_scheduler_alone_writes_and_often_is_kept_as_it_comes_and_described_in_words() -> None:
    kept = {
        (kind, part): set(part_of(kind, part).get("properties", ()))
        for kind in KINDS
        for part in ("spec", "status")
        if part_of(kind, part).get(OPEN)
    }
    known: dict[tuple[str, str], set[str]] = {
        ("Run", "status"): {"admittedAt"},
        ("GPULease", "spec"): set(),
        ("GPULease", "status"): {"closed", "meteredUntil"},
    }
    assert kept == known, "what a rule compares with what was before is known, and nothing else"
    for kind, part in kept:
        told = part_of(kind, part)["description"]
        names = json_schema(kind)["properties"][part]["properties"]
        assert names
        assert [name for name in names if f"\n- {name}: " not in told] == []


def test_of_what_is_kept_as_it_comes_what_was_stays_so() -> None:
    crd = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == "GPULease")
    rules = [part["rule"] for part in everything(crd) if "rule" in part]
    assert {"self.spec == oldSelf.spec", "!oldSelf.closed || self == oldSelf"} < set(rules)
    assert len(rules) == 3
    assert all("oldSelf" in rule for rule in rules), "what is right by itself is for readers to say"


def test_rules_that_share_when_they_do_not_apply_are_one_and_name_their_fields() -> None:
    crd = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == "Run")
    found = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"]
    (joined,) = [rule for rule in found if "admittedAt" in rule["rule"]]
    parts = ("resources", "topology", "template")
    assert all(f"self.spec.{part} == oldSelf.spec.{part}" in joined["rule"] for part in parts)
    assert (joined["rule"].count("admittedAt"), joined["fieldPath"]) == (1, ".spec")
    assert joined["message"].startswith("resources, topology, template: want no change once the run is admitted")


def test_no_word_means_several_kinds() -> None:
    """`kubectl delete runs --all` would take leases and budgets along if `runs` were their category as well."""
    names = [crd["spec"]["names"] for crd in crds()]
    words = [word for name in names for word in (name["plural"], name["singular"], *name["shortNames"])]
    assert len(set(words)) == len(words)
    assert not {word for name in names for word in name.get("categories", ())} & set(words)


def test_nothing_is_without_bounds() -> None:
    """The API server counts what a rule may cost from what its values may hold."""
    parts = [part for crd in crds(SECTIONS) for part in everything(crd["spec"]["versions"][0]["schema"])]
    texts = [
        part for part in parts if part.get("type") == "string" and "enum" not in part and part != {"type": "string"}
    ]
    lists = [part for part in parts if part.get("type") == "array"]
    maps = [part for part in parts if "additionalProperties" in part]
    assert len(texts) > 20
    assert all("maxLength" in part for part in texts)
    assert lists
    assert all("maxItems" in part for part in lists)
    assert maps
    assert all("maxProperties" in part for part in maps)


def test_every_field_is_described() -> None:
    for kind in KINDS:
        described = [part for part in everything(json_schema(kind)["properties"]["spec"]) if "properties" in part]
        for part in described:
            assert [
                name for name, field_schema in part["properties"].items() if not field_schema.get("description")
            ] == []


def test_a_plugins_section_is_part_of_the_spec() -> None:
    spec = spec_of("Run", *SECTIONS)["properties"]
    assert spec["width"]["required"] == ["most"]
    assert spec["width"]["properties"]["pace"]["default"] == "5m"
    assert spec["width"]["x-kubernetes-validations"][0]["rule"] == "self.least <= self.most"
    assert "default" not in spec["width"]
    assert spec["color"]["pattern"] == "^(?:[a-z]+)$"
    assert "width" not in spec_of("Budget", *SECTIONS)["properties"]


def refusals(spec: dict[str, Any]) -> list[str]:
    body = {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": {"name": "a"}}
    return [str(problem) for problem in validate({**body, "spec": {"resources": {"gpus": 8}, **spec}}, SECTIONS)]


def test_a_plugins_section_is_judged_like_cores_fields() -> None:
    assert refusals({"width": {"most": 8}, "color": "red"}) == []
    assert refusals({"width": {"least": 9, "most": 8}}) == ["spec.width.least: got 9, want no more than most"]
    assert refusals({"width": {"mots": 8}, "color": "RED"}) == [
        "spec.color: got 'RED', want text that matches [a-z]+",
        "spec.width.mots: got an unknown field (did you mean most?), want one of least, most, pace",
        "spec.width.most: got nothing, want a whole number of at least 1",
    ]


def matches(spec: RunSpec) -> bool:
    found = section(spec.sections, Color)
    return found is None or found.color != spec.resources.flavor


MATCHED = Rule(
    cel="self.color != self.resources.flavor", message="want another than the flavor", field="color", check=matches
)


def test_a_section_may_have_a_rule_about_the_whole_spec() -> None:
    wide = Section(plugin="colors", kind="Run", name="", cls=Color, rules=(MATCHED,))
    found = spec_of("Run", wide)["x-kubernetes-validations"]
    assert {"rule": MATCHED.cel, "message": MATCHED.message, "fieldPath": ".color"} in found

    def told(color: str) -> list[str]:
        spec = {"resources": {"gpus": 8, "flavor": "red"}, "color": color}
        body = {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": {"name": "a"}, "spec": spec}
        return [str(problem) for problem in validate(body, (wide,))]

    assert told("blue") == []
    assert told("red") == ["spec.color: got 'red', want another than the flavor"]


@rules(
    Rule(cel="self.low <= self.high", message="want no more than high", field="low", check=lambda w: w.low <= w.high)
)
@attrs.frozen(kw_only=True)
class Range:
    low: int = field(Fact(doc="From."), default=0)
    high: int = field(Fact(doc="To."), default=9)


def test_a_rule_of_fields_that_stand_in_the_spec_itself_is_held() -> None:
    bare = Section(plugin="ranges", kind="Run", name="", cls=Range)
    body = {"apiVersion": "runs.dev/v1alpha1", "kind": "Run", "metadata": {"name": "a"}}
    for low, told in ((9, []), (10, ["spec.low: got 10, want no more than high"])):
        spec = {"resources": {"gpus": 8}, "low": low}
        assert [str(problem) for problem in validate({**body, "spec": spec}, (bare,))] == told


@attrs.frozen(kw_only=True)
class Hue:
    color: str = field(Fact(doc="Which color."), default="red")


@attrs.frozen(kw_only=True)
class Greedy:
    resources: int = field(Fact(doc="All of them."), default=1)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        (
            (COLOR, Section(plugin="hues", kind="Run", name="", cls=Hue)),
            "field color is declared by colors and by hues",
        ),
        (
            (Section(plugin="greed", kind="Run", name="", cls=Greedy),),
            "field resources is declared by core and by greed",
        ),
        (
            (WIDTH, Section(plugin="wide", kind="Run", name="width", cls=Width)),
            "field least is declared by elastic and by wide",
        ),
        (
            (Section(plugin="top", kind="Run", name="topology", cls=Hue),),
            "field topology is declared by core and by top",
        ),
    ],
)
def test_a_field_that_two_declare_is_refused_with_both_names(sections: tuple[Section, ...], told: str) -> None:
    with pytest.raises(PluginError, match=told):
        crds(sections)


@attrs.frozen(kw_only=True)
class Strange:
    what: complex = field(Fact(doc="A number of another kind."), default=1j)


def test_a_field_of_a_type_that_manifests_cannot_say_is_refused() -> None:
    with pytest.raises(PluginError, match=r"Strange\.what: the type complex has no notation in manifests"):
        crds((Section(plugin="odd", kind="Run", name="odd", cls=Strange),))


def test_a_json_schema_is_closed_and_says_its_defaults() -> None:
    spec = json_schema("Run", SECTIONS)["properties"]["spec"]
    assert spec["additionalProperties"] is False
    assert spec["properties"]["resources"]["properties"]["gpusPerPod"]["default"] == 1
    assert spec["properties"]["after"]["uniqueItems"] is True
    assert not [key for part in everything(spec) for key in part if key.startswith("x-kubernetes")]


def test_a_json_schema_of_no_kind_of_ours_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"kind: got 'Runn' \(did you mean Run\?\), want one of Run, Budget, GPULease"
    ):
        json_schema("Runn")
