"""File names: what a template may hold, and every name of the list of bad inputs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.definitions.naming import (
    MAX_BYTES,
    PLACEHOLDERS,
    file_name,
    name_problems,
    slug,
    template_problems,
)
from include.errors import BadInput

VALUES = dict.fromkeys(PLACEHOLDERS, "x") | {
    "id": "daily",
    "period": "2026-01",
    "revision": 0,
}
KNOWN = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)


@pytest.mark.parametrize(
    ("template", "extension", "name"),
    [
        ("{id}_{period}", ".csv.gz", "daily_2026-01.csv.gz"),
        ("{id}_{period}.csv", ".csv.gz", "daily_2026-01.csv.gz"),
        ("{id}_{period}.csv.gz", ".csv.gz", "daily_2026-01.csv.gz"),
        ("Points {period} r{revision} ({id})", ".jsonl", "Points 2026-01 r0 (daily).jsonl"),
        ("Größe-{period}", ".csv", "Größe-2026-01.csv"),
        ("残高_{period}", ".csv", "残高_2026-01.csv"),
    ],
)
def test_names(template, extension, name):
    assert file_name(template, VALUES, extension) == name


@pytest.mark.parametrize(
    ("template", "code", "right"),
    [
        ("../{period}", "path_in_name", "must be a file name without / and \\; folders are set on the target"),
        ("/etc/{period}", "path_in_name", "must be a file name without / and \\; folders are set on the target"),
        ("a\\{period}", "path_in_name", "must be a file name without / and \\; folders are set on the target"),
        ("a\x00{period}", "bad_character", "must hold letters, digits and ._-+,=@ () only, not U+0000"),
        ("a\n{period}", "bad_character", "must hold letters, digits and ._-+,=@ () only, not U+000A"),
        ("a\u202e{period}", "bad_character", "must hold letters, digits and ._-+,=@ () only, not U+202E"),
        ("a\u200b{period}", "bad_character", "must hold letters, digits and ._-+,=@ () only, not U+200B"),
        ("a:{period}*", "bad_character", "must hold letters, digits and ._-+,=@ () only, not U+002A, U+003A"),
        ("a" * 300 + "{period}", "name_too_long", f"must be at most {MAX_BYTES} bytes, not 301"),
        ("CON.{period}", "device_name", "is the name of a device on Windows; choose another"),
        ("lpt1.{period}.csv", "device_name", "is the name of a device on Windows; choose another"),
        ("{period}.", "bad_last_character", "must not end with a dot or a space"),
        ("{period} ", "bad_last_character", "must not end with a dot or a space"),
        ("{{ conn.x.password }}{period}", "unknown_placeholder",
         f"{{ conn.x.password }} is not a placeholder; known are {KNOWN}"),
        ("{0.__class__}{period}", "unknown_placeholder", f"{{0.__class__}} is not a placeholder; known are {KNOWN}"),
        ("{period!r}", "unknown_placeholder", f"{{period!r}} is not a placeholder; known are {KNOWN}"),
        ("{period:>99}", "unknown_placeholder", f"{{period:>99}} is not a placeholder; known are {KNOWN}"),
        ("{}{period}", "unknown_placeholder", f"{{}} is not a placeholder; known are {KNOWN}"),
        ("{period", "stray_brace", "braces stand only around a placeholder, as in {period}"),
        ("daily", "no_period_in_name",
         "must hold {period}, {start}, {end}, {as_of} or {date}, so that no two runs have one name"),
        ("{id}_{revision}", "no_period_in_name",
         "must hold {period}, {start}, {end}, {as_of} or {date}, so that no two runs have one name"),
        (".{period}", "hidden_name",
         "must not begin with a dot: hidden and .part names are for files in the making"),
        (".part-{period}", "hidden_name",
         "must not begin with a dot: hidden and .part names are for files in the making"),
        ("-rf {period}", "bad_first_character", "must begin with a letter, a digit or _"),
        ("a\u0308{period}", "not_composed", "must be in composed Unicode form (NFC)"),
    ],
)  # fmt: skip
def test_refused(template, code, right):
    assert (code, right) in template_problems(template)
    with pytest.raises(BadInput):
        file_name(template, VALUES, ".csv")


def test_an_empty_name_and_a_device_name_that_a_placeholder_makes():
    assert name_problems("") == [("empty_name", "must not be empty")]
    with pytest.raises(BadInput, match="is the name of a device on Windows"):
        file_name("{id}.{period}", {"id": "con", "period": "2026"}, ".csv")


def test_a_value_cannot_bring_in_a_placeholder_or_a_path():
    with pytest.raises(BadInput, match="must be a file name without"):
        file_name("{id}{period}", {"id": "../x", "period": "1"}, ".csv")
    with pytest.raises(BadInput, match="not U\\+007B"):
        file_name("{id}{period}", {"id": "{name}", "period": "1"}, ".csv")


@given(st.text(max_size=120))
def test_a_slug_is_always_a_safe_part_of_a_name(text):
    assert name_problems("a" + slug(text) + "b") == [] or len(slug(text).encode()) > MAX_BYTES - 2


@given(st.text(max_size=60))
def test_no_template_makes_an_unsafe_name(template):
    try:
        name = file_name(template, VALUES, ".csv")
    except BadInput:
        return
    assert name_problems(name) == []
    assert not set(name) & set('/\\\0<>:"|?*\n')
