"""The page about the draw, the script written from it, and the engine say the same."""

from __future__ import annotations

import base64
import copy
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Sequence
from contextlib import redirect_stdout
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import attrs
import pytest

from runs_core.decide.draw import Stream, Taking
from runs_core.schema.convert import to_object
from runs_core.schema.evidence import packed, unpacked
from runs_core.testing.resolutions import resolutions
from runs_core.values.nonces import commitment_of
from runs_core.values.resolution import Candidate, Pool, Resolution

ROOT = Path(__file__).resolve().parents[2]
PAGE, SCRIPT = ROOT / "docs" / "explanation" / "draw.md", ROOT / "examples" / "verify_draw.py"
VECTORS = json.loads(re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0])
COUNT = 1_000
Object = dict[str, Any]


class Script:
    """The script, or a text like it, run in this process: a thousand processes would take a minute."""

    def __init__(self, text: str) -> None:
        self._code = compile(text, str(SCRIPT), "exec")

    def wrong(self, body: Object, *parts: Object) -> str:
        """What it finds; empty: nothing. It reads what it is given as kubectl prints it."""
        given = {"kind": "List", "items": [body, *parts]} if parts else body
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as told:
            patch.setattr(sys, "stdin", StringIO(json.dumps(given)))
            try:
                exec(self._code, {"__name__": "__main__"})  # noqa: S102  # as Python would
            except SystemExit as end:
                return str(end.code)
        assert told.getvalue() == "the draw follows from its seed\n"
        return ""


@pytest.fixture(scope="module")
def script() -> Script:
    return Script(SCRIPT.read_text("utf-8"))


@pytest.fixture(scope="module")
def some() -> list[Resolution]:
    return resolutions(COUNT)


def pool() -> Pool:
    units = tuple(Candidate(**{"uid": "-", "group": None, "owner": None, **unit}) for unit in VECTORS["pool"])
    return Pool(stage="lottery", drawn=True, candidates=units)


def name(unit: Candidate) -> str:
    return str(unit.run) + ("" if unit.group is None else f" group {unit.group}")


# -- the vectors ------------------------------------------------------------------------------------------------------


def test_the_blocks_and_numbers_of_the_page_are_those_of_the_engine() -> None:
    seed, stream = VECTORS["seed"], Stream(VECTORS["seed"])
    assert VECTORS["blocks"] == [sha256(f"{seed}|{at}".encode()).hexdigest() for at in range(3)]
    assert [[bound, stream.below(bound)] for bound, _ in VECTORS["below"]] == VECTORS["below"]
    assert commitment_of(seed.rsplit("|", 1)[1]) == VECTORS["commitment"]


def test_the_draws_of_the_page_are_those_of_the_engine() -> None:
    for case in VECTORS["draws"]:
        missing = case["missing"]
        taking = Taking(missing, Stream(VECTORS["seed"]), lambda cuts, want=missing: sum(u.gpus for u in cuts) >= want)  # type: ignore[misc]  # bound now
        assert taking.from_(pool())
        assert [name(unit) for unit in taking.taken] == case["taken"]
        assert [name(unit) for unit in taking.give_back()] == case.get("givenBack", [])


def test_the_draws_of_the_page_are_those_of_the_script(script: Script) -> None:
    """And nothing else is: with any two units the other way round it says where."""
    for case in VECTORS["draws"]:
        cuts = [unit for unit in case["taken"] if unit not in case.get("givenBack", [])]
        assert script.wrong(a_resolution(case, case["taken"], cuts)) == ""
        if len(case["taken"]) > 1:
            assert script.wrong(a_resolution(case, case["taken"][::-1], cuts)).startswith("draw 0: it says (")


def a_resolution(case: Object, taken: Sequence[str], cuts: Sequence[str]) -> Object:
    """As it would be kept, with all that the script reads."""
    _, uid, attempt, number, head, nonce = VECTORS["seed"].split("|")
    draws = [{"pool": 0, "unit": a_unit(text)} for text in taken]
    given = [a_unit(text) for text in case.get("givenBack", [])]
    evidence = {"pools": [{"drawn": True, "candidates": VECTORS["pool"]}], "draws": draws, "givenBack": given}
    spec = {
        "beneficiary": {"uid": uid, "attempt": int(attempt)},
        "seed": {"ledgerHead": head, "nonce": nonce, "commitment": VECTORS["commitment"]},
        "number": int(number),
        "deficitGPUs": case["missing"],
        "evidence": {"data": base64.b64encode(zlib.compress(json.dumps(evidence).encode())).decode()},
        "cuts": [a_unit(text) for text in cuts],
    }
    return {"spec": spec}


def a_unit(text: str) -> Object:
    """As the page names it."""
    run, _, group = text.partition(" group ")
    space, name = run.split("/")
    return {"namespace": space, "name": name, **({"group": int(group)} if group else {})}


# -- the script -------------------------------------------------------------------------------------------------------


def test_the_script_agrees_with_the_engine_on_a_thousand_resolutions(script: Script, some: list[Resolution]) -> None:
    assert [(one.name, told) for one in some if (told := script.wrong(to_object(one)))] == []
    assert sum(len(unpacked(one.spec.evidence.data, one.spec.evidence.digest).draws) for one in some) > 3 * COUNT


def other_head(one: Resolution) -> Object:
    body = to_object(one)
    body["spec"]["seed"]["ledgerHead"] = "1" * 64
    return body


def other_nonce(one: Resolution) -> Object:
    body = to_object(one)
    body["spec"]["seed"]["nonce"] = "1" * 64
    return body


def another_is_cut(one: Resolution) -> Object:
    body = to_object(one)
    body["spec"]["cuts"][0]["name"] = "scapegoat"
    return body


def another_is_drawn(one: Resolution) -> Object:
    evidence = unpacked(one.spec.evidence.data, one.spec.evidence.digest)
    drawn = evidence.draws[0]
    units = evidence.pools[drawn.pool].candidates
    other = next((unit for unit in units if unit.place != drawn.unit.place), None)
    unit = other.ref if other is not None else attrs.evolve(drawn.unit, name="scapegoat")
    forged = attrs.evolve(evidence, draws=(attrs.evolve(drawn, unit=unit), *evidence.draws[1:]))
    return to_object(attrs.evolve(one, spec=attrs.evolve(one.spec, evidence=packed(forged))))


def test_the_script_notices_a_forgery(script: Script, some: list[Resolution]) -> None:
    for forge in (other_nonce, another_is_cut, another_is_drawn):
        assert [one.name for one in some[:200] if not script.wrong(forge(one))] == []
    noticed = [bool(script.wrong(other_head(one))) for one in some[:200]]
    assert sum(noticed) > 100  # another seed may draw the same where there are few to draw from


def test_the_script_says_where_a_resolution_differs(script: Script, some: list[Resolution]) -> None:
    for one in some[:200]:
        assert script.wrong(other_nonce(one)).startswith("spec.seed.nonce: ")
        assert script.wrong(another_is_drawn(one)).startswith("draw 0: it says (")
        assert script.wrong(another_is_cut(one)).startswith("spec.cuts: it says [(")


def test_the_script_reads_evidence_that_lies_in_parts(script: Script, some: list[Resolution]) -> None:
    """As one List, as kubectl prints several objects."""
    for one in some[:50]:
        body = to_object(one)
        text = body["spec"]["evidence"].pop("data")
        parts = [{"data": {"evidence": text[at : at + 200]}} for at in range(0, len(text), 200)]
        assert len(parts) > 1
        assert script.wrong(body, *parts) == ""
        with pytest.raises((zlib.error, ValueError)):
            script.wrong(body, *parts[1:])


def test_a_script_that_draws_otherwise_is_noticed(script: Script, some: list[Resolution]) -> None:
    text, shuffled = SCRIPT.read_text("utf-8"), [mixed(to_object(one)) for one in some[:200]]
    assert not any(script.wrong(body) for body in shuffled)
    for good, bad in (
        ("drum = narrow if 0 < missing", "drum = units if 0 < missing"),
        ("if block < 2**256 // len(row) * len(row)", "if block < 2**255"),
        ("pick(sorted(owner(one) for one in drum", "pick(list(owner(one) for one in drum"),
        (", key=place))", ", key=lambda one: 0))"),
        ('for _ in range(one["gpus"])', "for _ in range(1)"),
        ('missing -= unit["gpus"]', "missing -= 1"),
    ):
        assert good in text
        broken = Script(text.replace(good, bad))
        assert any(broken.wrong(body) for body in shuffled), good


def mixed(body: Object) -> Object:
    """The same evidence with each drum's candidates the other way round, as an honest recorder might have them."""
    evidence = unpacked(body["spec"]["evidence"]["data"], body["spec"]["evidence"]["digest"])
    pools = tuple(
        attrs.evolve(pool, candidates=pool.candidates[::-1]) if pool.drawn else pool for pool in evidence.pools
    )
    again = packed(attrs.evolve(evidence, pools=pools))
    found = copy.deepcopy(body)
    found["spec"]["evidence"] = {"data": again.data, "digest": again.digest}
    return found


def test_the_script_works_as_it_says(some: list[Resolution]) -> None:
    for body, *want in (
        (to_object(some[0]), 0, "the draw follows from its seed\n", ""),
        (other_nonce(some[0]), 1, "", "spec.seed.nonce: it is not the one that was bound\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-I", str(SCRIPT)], input=json.dumps(body), capture_output=True, text=True, check=False
        )
        assert [done.returncode, done.stdout, done.stderr] == want


def test_the_script_needs_the_standard_library_only() -> None:
    imported = set(re.findall(r"^(?:import|from) (\w+)", SCRIPT.read_text("utf-8"), re.MULTILINE))
    assert imported <= sys.stdlib_module_names
    assert imported
