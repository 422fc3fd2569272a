"""What is written as YAML is read back as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.definitions.document import parse_yaml
from include.definitions.load import load
from include.definitions.writing import as_yaml

TEXTS = [
    "no",
    "08",
    "10:00",
    "-.5",
    "5.",
    "1e5",
    "true",
    "~",
    "",
    "null",
    "2026-01-01",
    " x",
    "\x85",
    "a\u2028b\nc",
    "a: b",
    "# x",
    "a\nb",
    "a \nb",
]
TEXTS += [
    "\x07",
    "\u202e",
    "- a",
    '"q"',
    "12345678901234567890",
    "\ta",
    "a\n",
    "\n\n",
    "it's",
    "{a}",
    "=",
    "<<",
    "&a",
    "!x",
    "*a",
]
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**16), 10**16), st.sampled_from(TEXTS),
    st.text(st.characters(exclude_categories=["Cs"])), st.decimals(-10**6, 10**6, places=3).map(float),
)  # fmt: skip
DOCUMENTS = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_stays_a_text(text: str) -> None:
    assert parse_yaml(as_yaml({"k": text}), where="") == {"k": text}


@given(DOCUMENTS)
def test_any_document_is_read_back_as_it_was(document: Any) -> None:
    assert same(parse_yaml(as_yaml({"k": document}), where=""), {"k": document})


@pytest.mark.parametrize("path", sorted(Path("include/exports").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_export_is_read_back(path: Path) -> None:
    document = load(path).document()
    assert parse_yaml(as_yaml(document), where="") == document
    assert "&" not in as_yaml(document)


def test_what_an_export_is_stands_at_the_top_and_the_rest_in_its_order():
    document = {"fields": [], "targets": [], "model": "balance", "as_of": "now", "name": "A", "id": "a"}
    assert list(parse_yaml(as_yaml(document), where="")) == [
        "id",
        "name",
        "model",
        "fields",
        "targets",
        "as_of",
    ]
    assert as_yaml(["b", "a"]) == "- b\n- a\n"
