"""All that is wrong is said at once, each at the field that must be changed."""

from __future__ import annotations

from typing import Any

import pytest

from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.errors import Problem
from include.pipeline.checks import check
from include.web.editor.form import Values, values_of
from include.web.editor.problems import field_of, judged, placed

RIGHT: dict[str, Any] = {
    "id": "a",
    "name": "A",
    "model": "balance",
    "targets": [{"kind": "folder", "options": {"folder": "x"}}],
}


def validate(document: dict[str, Any]) -> ExportDefinition:
    return from_document(document, where="", check=check)


def wrong(**texts: str | list[str]) -> dict[str, list[str]]:
    """The problems of a right form with these texts; `__` stands for a dot."""
    values = values_of(RIGHT)
    for name, text in texts.items():
        values[name.replace("__", ".")] = [text] if isinstance(text, str) else text
    definition, _, found = judged(values, validate)
    assert definition is None
    return dict(found.at)


def test_nothing_is_wrong_with_what_is_right() -> None:
    definition, document, found = judged(values_of(RIGHT), validate)
    assert definition == ExportDefinition.model_validate(RIGHT)
    assert document == RIGHT
    assert not found


def test_everything_is_said_at_once_beside_its_field() -> None:
    """Problems of types, of options, of columns and of names, which the checks find one after the other."""
    found = wrong(
        name=" x ",
        timezone="EST",
        limit="many",
        schedule__kind="weekly",
        schedule__time="25:00",
        targets__0__kind="sftp",
        targets__0__options__timeout_seconds="x",
        filters='{"field": "colour", "is": "red"}',
        file__name="../x_{period}",
        order="shoe_size",
    )
    assert set(found) == {
        "name", "timezone", "limit", "schedule.time", "schedule.days", "targets.0.options.connection",
        "targets.0.options.timeout_seconds", "filters", "file.name", "order",
    }  # fmt: skip
    assert found["limit"] == ["Must be a whole number."]
    assert found["targets.0.options.connection"] == ["This is needed."]
    assert found["timezone"] == [
        "Must be the name of an IANA time zone with its place, such as Europe/Paris, or UTC."
    ]
    assert found["order"][0].startswith("No such field; there are ")


def test_a_problem_of_a_row_is_at_that_row() -> None:
    found = wrong(columns="chosen", fields__0__field="tier", fields__1__field="colour")
    assert list(found) == ["fields.1.field"]
    found = wrong(
        privacy__fields__0__field="tier",
        privacy__fields__0__do="mask",
        privacy__fields__1__field="metadata.shoe",
        privacy__fields__1__do="drop",
    )
    assert list(found) == ["privacy.fields.1.field"]


def test_nothing_chosen_is_said_where_one_chooses() -> None:
    assert wrong(columns="chosen") == {"columns": ["Choose at least one column."]}
    assert wrong(columns="groups") == {"columns": ["Choose at least one column."]}
    values = {name: texts for name, texts in values_of(RIGHT).items() if not name.startswith("targets")}
    assert judged(values, validate)[2].at == {"targets": ["Add at least one destination."]}


def test_a_key_that_is_wrong_does_not_make_others_wrong() -> None:
    """Without its wrong period a report that needs one would seem to have none."""
    found = wrong(
        model="liability", period__kind="custom", period__start="2026-02-01", period__end="2026-01-01"
    )
    assert list(found) == ["period"]
    assert wrong(model="unheard_of") == {"model": wrong(model="unheard_of")["model"]}


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("targets[0].options.folder", "targets.0.options.folder"),
        ("targets[0].options.nonsense", "targets.0.options"),
        ("targets[7].kind", "targets.7.kind"),
        ("x.yaml: schedule.time", "schedule.time"),
        ("schedule.minute", "schedule"),
        ("filters.all[2].field", "filters"),
        ("exports[1].model", "exports"),
        ("privacy.fields.email.do", "privacy.fields.0.do"),
        ("privacy.fields.metadata.city", "privacy.fields.1.field"),
        ("privacy.fields.unknown", "privacy"),
        ("fields", "columns"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_the_place_of_a_problem_is_a_field(where: str, name: str) -> None:
    values: Values = {
        "targets.0.kind": ["folder"],
        "schedule.kind": ["daily"],
        "privacy.fields.0.field": ["email"],
        "privacy.fields.1.field": ["metadata.city"],
    }
    assert field_of(where, values) == name


def test_there_is_an_end_to_what_is_told() -> None:
    many = [Problem("filters", f"{number}" * 100, "is wrong", "wrong") for number in range(1000)]
    [told] = placed(many, {}).at.values()
    assert len(told) < 201
    assert all(len(sentence) < 100 for sentence in told)
