from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs_core.schema.text import parse


def value(text: str) -> Any:  # noqa: ANN401 - JSON
    (found,) = parse(text, "f.yaml")
    return found.value


@pytest.mark.parametrize(
    "word",
    ["yes", "no", "on", "off", "y", "N", "010", "0o7", "0x1f", "1_000", "1:30", "2026-01-31", ".inf", ".5", "1."],
)
def test_a_word_that_is_nothing_in_json_is_text(word: str) -> None:
    assert value(f"a: {word}") == {"a": word}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("8", 8),
        ("-1", -1),
        ("0.5", 0.5),
        ("1e3", 1000.0),
    ],
)
def test_a_word_of_json_is_what_it_is_in_json(word: str, meant: object) -> None:
    assert value(f"a: {word}") == {"a": meant}


@pytest.mark.parametrize("word", ['"8"', "'true'", "!!str 8", "|-\n  8"])
def test_what_is_quoted_is_text(word: str) -> None:
    assert isinstance(value(f"a: {word}")["a"], str)


def test_a_number_too_long_for_a_number_is_text() -> None:
    assert value("a: " + "9" * 5000) == {"a": "9" * 5000}
    assert value("a: 1e999") == {"a": "1e999"}


def test_keys_are_text() -> None:
    assert value("1: a\ntrue: b\n") == {"1": "a", "true": "b"}


def test_maps_are_merged_as_yaml_merges_them() -> None:
    assert value("base: &b {a: 1, b: 2}\nhere:\n  <<: *b\n  b: 3\n")["here"] == {"a": 1, "b": 3}
    assert value("x: &x {a: 1}\ny: &y {a: 2, b: 2}\nhere: {<<: [*x, *y]}\n")["here"] == {"a": 1, "b": 2}


def test_a_mark_at_the_start_of_the_file_is_no_part_of_it() -> None:
    assert value("\ufeffa: 1\r\n") == {"a": 1}


def test_lines_are_those_of_the_keys() -> None:
    (found,) = parse("a:\n  b:\n\n  - c\n  - d: |\n      e\n      f\n", "f.yaml")
    places = {("a",): 1, ("a", "b"): 2, ("a", "b", 0): 4, ("a", "b", 1, "d"): 5, ("a", "x"): 1, ("a", "b", 7): 2}
    assert {path: found.line(path) for path in places} == places


numbers = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: number == 0 or 1e-5 < math.fabs(number) < 1e15
)
everything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
)


@given(st.dictionaries(st.text(max_size=9), everything, min_size=1, max_size=4), st.sampled_from([None, 2, "\t"]))
def test_all_json_is_read_as_json(body: dict[str, Any], indent: int | str | None) -> None:
    assert value(json.dumps(body, indent=indent)) == body
