"""A document becomes the texts of a form and comes back as it was; what is typed says what it says, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from starlette.datastructures import FormData

from include.definitions.load import load
from include.web.editor import rows
from include.web.editor.form import Values, document_of, posted, values_of
from tests.web.editor.documents import documents

EXAMPLES = sorted(Path("include/exports").glob("*.yaml"))
BARE: Values = {"model": ["balance"], "id": ["a"], "columns": ["all"]}


def typed(**values: str | list[str]) -> dict[str, Any]:
    """What these fields say, beside model and id; `__` stands for a dot."""
    texts = {
        name.replace("__", "."): [text] if isinstance(text, str) else text for name, text in values.items()
    }
    document, problems = document_of({**BARE, **texts})
    assert problems == []
    return {key: value for key, value in document.items() if key not in ("model", "id")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_shipped_export_comes_back_as_it_was(path: Path) -> None:
    document = load(path).document()
    assert document_of(values_of(document)) == (document, [])
    assert document_of(rows.compact(values_of(document))) == (document, [])


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(documents())
def test_any_document_comes_back_as_it_was(document: dict[str, Any]) -> None:
    values = values_of(document)
    assert document_of(values) == (document, [])
    assert all(isinstance(text, str) for texts in values.values() for text in texts)


@pytest.mark.parametrize(
    ("values", "document"),
    [
        ({"name": ""}, {}),
        ({"limit": "500"}, {"limit": 500}),
        ({"limit": "5e2"}, {"limit": "5e2"}),
        ({"limit": "0500"}, {"limit": "0500"}),
        ({"timezone": "UTC", "owner": "loyalty", "bundle": "none"}, {}),
        ({"paused": ["false"]}, {}),
        ({"paused": ["false", "true"]}, {"paused": True}),
        ({"enabled": ["false"]}, {"enabled": False}),
        ({"enabled": ["false", "true"]}, {}),
        ({"paused": "maybe"}, {"paused": "maybe"}),
        ({"order": ["-points_balance", "customer_id", ""]}, {"order": ["-points_balance", "customer_id"]}),
        ({"order": "-points_balance\ncustomer_id\n"}, {"order": ["-points_balance", "customer_id"]}),
        ({"compare": "{}"}, {"compare": {}}),
        ({"compare": ["", "{}"], "compare__key": "customer_id"}, {"compare": {"key": ["customer_id"]}}),
        ({"compare": [""], "compare__key": "customer_id"}, {}),
        ({"period__kind": "", "period__start": "2026-01-01"}, {}),
        ({"period__kind": "custom", "period__start": "2026-01-01"}, {"period": {"kind": "custom", "start": "2026-01-01"}}),
        ({"schedule__kind": "", "schedule__time": "06:00"}, {}),
        (
            {"schedule__kind": "monthly", "schedule__time": "06:00", "schedule__days": ["", "1", "last"]},
            {"schedule": {"kind": "monthly", "time": "06:00", "days": [1, "last"]}},
        ),
        (
            {"schedule__kind": "daily", "schedule__time": "06:00", "schedule__days": ["", "monday"]},
            {"schedule": {"kind": "daily", "time": "06:00"}},
        ),
        ({"schedule__kind": "hourly"}, {"schedule": {"kind": "hourly"}}),
        ({"filters": '{"field": "tier", "in": ["Gold"]}'}, {"filters": {"field": "tier", "in": ["Gold"]}}),
        ({"filters": "field: tier\nin: [Gold]"}, {"filters": {"field": "tier", "in": ["Gold"]}}),
        ({"columns": "all", "fields__0__field": "tier"}, {}),
        ({"columns": "chosen", "fields__0__field": "tier"}, {"fields": [{"field": "tier"}]}),
        ({"columns": "chosen"}, {"fields": []}),
        ({"columns": "groups"}, {"aggregation": []}),
        ({"file__format": "csv", "file__options__delimiter": ","}, {}),
        ({"file__options__delimiter": "\t"}, {"file": {"options": {"delimiter": "\t"}}}),
        (
            {"privacy__fields__0__field": "email", "privacy__fields__0__do": "mask", "privacy__fields__0__show": ""},
            {"privacy": {"fields": {"email": {"do": "mask"}}}},
        ),
        ({"privacy__fields__0__field": "email", "privacy__fields__0__do": ""}, {}),
        ({"notify__rules__0__kind": "email", "notify__rules__0__when": [""]}, {"notify": {"rules": [{"kind": "email", "when": []}]}}),
        ({"targets__0__kind": "folder", "targets__0__options__folder": "x"}, {"targets": [{"kind": "folder", "options": {"folder": "x"}}]}),
    ],
)  # fmt: skip
def test_what_is_typed_says_this(values: dict[str, Any], document: dict[str, Any]) -> None:
    assert typed(**values) == document


def test_rows_come_in_the_order_of_their_numbers() -> None:
    values = {
        "columns": ["chosen"],
        "fields.10.field": ["b"],
        "fields.9.field": ["a"],
        "fields.9.header": ["A"],
    }
    assert document_of(values)[0] == {"fields": [{"field": "a", "header": "A"}, {"field": "b"}]}


def test_what_was_written_out_stays_until_it_is_changed() -> None:
    document = {
        "targets": [{"kind": "folder", "options": {"folder": "x", "replace": False, "create_folder": True}}],
        "file": {"options": {"null_text": "", "delimiter": ","}},
    }
    values = values_of(document)
    assert document_of(values) == (document, [])
    values["targets.0.options.replace"] = ["false", "true"]
    assert document_of(values)[0]["targets"][0]["options"]["replace"] is True


@pytest.mark.parametrize(
    "name",
    [
        "nonsense",
        "schedule.minute",
        "targets.0.password",
        "targets.x.kind",
        "file",
        "a" * 5000,
        "__proto__",
        "fields.-1.field",
    ],
)
def test_a_name_that_no_field_has_is_an_error(name: str) -> None:
    values = {**BARE, "schedule.kind": ["daily"], "targets.0.kind": ["folder"], name: ["1"]}
    _, problems = document_of(values)
    assert name == "file" or [(each.where, each.code) for each in problems] == [(name, "unknown_field")]


def test_an_option_of_no_kind_is_left_for_the_kind_to_refuse_and_one_of_another_kind_is_dropped() -> None:
    values = {
        "targets.0.kind": ["folder"],
        "targets.0.options.folder": ["x"],
        "targets.0.options.host_key": ["?"],
        "targets.0.options.done_file": ["empty"],
    }
    assert document_of(values) == (
        {"targets": [{"kind": "folder", "options": {"folder": "x", "host_key": "?"}}]},
        [],
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("filters", '{"field":'),
        ("filters", '{"a": 1, "a": 2}'),
        ("filters", '{"a": NaN}'),
        ("filters", "[" * 5000),
        ("filters", "&a [*a]"),
        ("exports", "- id: a\n  id: b"),
    ],
)
def test_a_text_that_is_no_value_is_a_problem_of_its_field(name: str, text: str) -> None:
    document, problems = document_of({name: [text]})
    if "NaN" in text:  # as YAML it is a text, which no filter takes
        assert document == {"filters": {"a": "NaN"}}
    else:
        assert [problem.where for problem in problems] == [name]


def test_the_same_column_protected_twice_is_a_problem() -> None:
    values = {
        f"privacy.fields.{row}.{key}": [text]
        for row in (0, 1)
        for key, text in (("field", "email"), ("do", "drop"))
    }
    _, problems = document_of(values)
    assert [(problem.where, problem.code) for problem in problems] == [
        ("privacy.fields.1.field", "field_twice")
    ]


def test_what_a_browser_sends_is_cleaned_of_what_nobody_meant() -> None:
    form = FormData([("name", "  Weekly "), ("description", "a\r\nb\x00"), ("file.options.delimiter", "\t")])
    assert posted(FormData([("exports", "\r\n  - id: a\r\n    model: b\r\n")])) == {
        "exports": ["  - id: a\n    model: b"]
    }
    assert posted(form) == {
        "name": ["Weekly"],
        "description": ["a\nb\ufffd"],
        "file.options.delimiter": ["\t"],
    }


def test_another_kind_drops_what_only_stood_there_as_usual() -> None:
    """CSV is separated by commas as usual; PSV must not become so by a change of the format."""
    form = FormData(
        [
            ("was", "file.options=formats.csv"),
            ("file.format", "psv"),
            ("file.options.delimiter", ","),
            ("file.options.header", "false"),
            ("was", "targets.0.options=targets.sftp"),
            ("targets.0.kind", "folder"),
            ("targets.0.options.folder", "daily"),
            ("targets.0.options.create_folder", "false"),
        ]
    )
    document, problems = document_of(posted(form))
    assert problems == []
    assert document == {
        "file": {"format": "psv", "options": {"header": False}},
        "targets": [{"kind": "folder", "options": {"folder": "daily"}}],
    }
