"""What the form shows of what is typed: words, choices, what is usual, and which parts are folded away."""

from __future__ import annotations

import pytest

from include.reports import models
from include.web.editor.form import Values
from include.web.editor.problems import Found
from include.web.editor.view import Form, section_of

TYPED: Values = {
    "model": ["balance"],
    "targets.0.kind": ["sftp"],
    "targets.0.options.connection": ["partner"],
    "notify.rules.0.kind": ["email"],
    "schedule.kind": ["weekly"],
}


def form(**values: str) -> Form:
    return Form(TYPED | {name.replace("__", "."): [text] for name, text in values.items()})


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("schedule.kind", {"", "once", "daily", "weekly", "monthly", "business_day", "quarter_end"}),
        ("notify.rules.0.kind", {"", "email", "webhook", "airflow"}),
        ("notify.rules.1.kind", {"", "email", "webhook", "airflow"}),
        (
            "targets.0.kind",
            {"", "email", "sftp", "folder", "google_sheets", "s3", "gcs", "azure_blob", "webhook"},
        ),
        ("file.format", {"csv", "tsv", "psv", "xlsx", "json", "jsonl", "parquet", "xml"}),
        ("file.encryption.kind", {"", "openpgp", "age", "zip_aes"}),
    ],
)
def test_every_kind_can_be_chosen_also_when_one_is(name: str, kinds: set[str]) -> None:
    assert {value for value, _ in form().field(name).choices} == kinds
    assert all(words for _, words in form().field(name).choices)


def test_a_choice_that_is_none_stays_in_sight() -> None:
    for name in ("schedule.kind", "targets.0.kind", "file.format"):
        assert ("hourly", "Hourly") in form(**{name.replace(".", "__"): "hourly"}).field(name).choices


def test_options_that_people_need_come_first_and_required_ones_always() -> None:
    common, rest = form().options("targets.0.options")
    assert common == ["targets.0.options.connection", "targets.0.options.folder"]
    assert "targets.0.options.done_file" in rest
    common, _ = form(file__encryption__kind="openpgp").options("file.encryption.options")
    assert common == ["file.encryption.options.recipients", "file.encryption.options.sign_with"]


def test_what_is_typed_or_wrong_is_not_folded_away() -> None:
    names = ["targets.0.options.verify", "targets.0.options.timeout_seconds"]
    assert not form().touched(names)
    assert not form(targets__0__options__verify="read_back").touched(names)
    assert form(targets__0__options__verify="size").touched(names)
    assert Form(TYPED, Found({"targets.0.options.verify": ["is wrong"]})).touched(names)


def test_words_of_an_option_are_those_of_its_kind() -> None:
    assert form().field("targets.0.options.folder").label == "Folder"
    assert "partner" not in form().field("targets.0.options.connection").hint
    assert form().field("file.options.delimiter").label == "What separates columns"
    assert list(form().field("options.grain").choices) == [("account", "Account"), ("customer", "Customer")]


def test_a_text_that_a_field_of_one_line_cannot_show_gets_more_lines() -> None:
    assert form(name="a\nb").field("name").widget == "long"
    assert form(paused="perhaps").field("paused").widget == "text"


def test_problems_are_counted_by_part_and_named_in_the_summary() -> None:
    found = Found(
        {"targets.0.options.connection": ["Is needed."], "name": ["Too long.", "Odd."], "": ["All wrong."]}
    )
    shown = Form(TYPED, found)
    assert (
        shown.section_problems("where"),
        shown.section_problems("what"),
        shown.section_problems("file"),
    ) == (1, 3, 0)
    assert shown.summary[0] == ("targets.0.options.connection", "Destination 1: Connection", "Is needed.")
    assert [section_of(name) for name in ("timezone", "file.name", "compare.key", "enabled", "anything")] == [
        "when", "file", "conditions", "more", "what",
    ]  # fmt: skip


@pytest.mark.parametrize("model", models.names())
def test_columns_are_known_of_every_model(model: str) -> None:
    shown = form(model=model)
    assert shown.columns
    assert set(shown.personal) <= {column.name for column in shown.columns}
    assert shown.title


def test_an_unknown_model_breaks_nothing() -> None:
    shown = form(model="no_such", layout="no.such")
    assert (shown.columns, shown.of_model, shown.time, shown.title) == ((), (), "optional", "no_such")


def test_hints_are_escaped_and_their_code_marked() -> None:
    hint = form().field("file.name").hint
    assert "<code>{id}_{period}</code>" in hint
