"""A copy has an id and file names that nobody else has."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.definitions.names import IDENTIFIER
from include.web.editor import cloning


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Daily balances", "daily-balances"),
        ("Été & Größe: Straße", "ete-grosse-strasse"),
        ("  --  ", "balance"),
        ("ポイント", "balance"),
        ("a—b", "a-b"),
        ("Łódź, Ærø", "lodz-aero"),
        ("x" * 80, "x" * 64),
        ("a" * 63 + "-b", "a" * 63),
        ("2026: all", "2026-all"),
    ],
)
def test_an_id_is_made_of_the_name(name: str, found: str) -> None:
    assert cloning.id_of(name, otherwise="balance") == found


@given(st.text(), st.sets(st.sampled_from(["export", "export-2", "export-3"])))
def test_a_made_id_is_always_an_id_that_is_free(name: str, taken: set[str]) -> None:
    found = cloning.free_id(cloning.id_of(name, otherwise="export"), taken)
    assert re.fullmatch(IDENTIFIER, found)
    assert found not in taken
    assert found != "new"


def test_a_long_id_stays_short_with_its_number() -> None:
    long = "x" * 64
    assert cloning.free_id(long, {long}) == "x" * 62 + "-2"


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ({}, {}),
        ({"name": "balances_{period}"}, {"name": "{id}_balances_{period}"}),
        ({"name": "{id}_{period}", "format": "csv"}, {"name": "{id}_{period}", "format": "csv"}),
    ],
)
def test_files_get_the_id_into_their_names(file: dict[str, str], found: dict[str, str]) -> None:
    assert cloning.apart({"id": "copy", "file": file})["file"] == found


def test_the_files_of_a_pack_do_too_where_they_are_delivered_as_files() -> None:
    parts = [{"id": "a", "file": {"name": "a_{period}"}}, {"id": "b"}]
    assert cloning.apart({"exports": parts})["exports"][0]["file"] == {"name": "{id}_a_{period}"}
    assert cloning.apart({"exports": parts, "bundle": "zip"})["exports"] == parts
