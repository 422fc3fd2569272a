"""Rows of a form: added, removed, moved, numbered anew; nothing else changes."""

from __future__ import annotations

from include.web.editor import rows
from include.web.editor.form import Values

THREE: Values = {
    "name": ["x"],
    "fields.0.field": ["a"],
    "fields.0.header": ["A"],
    "fields.1.field": ["b"],
    "fields.4.field": ["c"],
    "given": ["fields.4.header=null", "limit=1"],
    "was": ["targets.0.options=targets.sftp"],
}


def columns(values: Values) -> list[str]:
    return [values[f"fields.{row}.field"][0] for row in rows.numbers(values, "fields")]


def test_a_row_is_added_at_the_end() -> None:
    values = rows.changed(THREE, "add:fields")
    assert columns(values) == ["a", "b", "c", ""]
    assert rows.changed({}, "add:targets") == {"targets.0.kind": [""]}
    nested = "targets.0.options.create.share_with"
    assert rows.changed({}, f"add:{nested}") == {f"{nested}.0.address": [""]}


def test_a_row_is_removed_and_those_after_it_move_up() -> None:
    values = rows.changed(THREE, "remove:fields.1")
    assert columns(values) == ["a", "c"]
    assert rows.numbers(values, "fields") == [0, 1]
    assert values["given"] == ["fields.1.header=null", "limit=1"]
    assert values["name"] == ["x"]
    assert rows.changed(THREE, "remove:fields.0")["given"] == ["fields.1.header=null", "limit=1"]
    assert rows.changed(THREE, "remove:fields.4")["given"] == ["limit=1"]
    target = {
        "targets.0.kind": ["sftp"],
        "targets.1.kind": ["folder"],
        "was": ["targets.1.options=targets.folder"],
    }
    assert rows.changed(target, "remove:targets.0") == {
        "targets.0.kind": ["folder"],
        "was": ["targets.0.options=targets.folder"],
    }


def test_a_row_moves_up_and_down_and_stops_at_the_ends() -> None:
    assert columns(rows.changed(THREE, "up:fields.4")) == ["a", "c", "b"]
    assert columns(rows.changed(THREE, "down:fields.0")) == ["b", "a", "c"]
    assert columns(rows.changed(THREE, "up:fields.0")) == ["a", "b", "c"]
    assert columns(rows.changed(THREE, "down:fields.4")) == ["a", "b", "c"]


def test_what_no_button_asks_for_changes_nothing() -> None:
    for asked in (
        "",
        "show",
        "add",
        "add:",
        "add:name",
        "remove:fields",
        "remove:fields.x",
        "up:name.0",
        "add:fields.0",
        "x:fields.1",
    ):
        assert rows.changed(THREE, asked) == THREE


def test_rows_in_which_nothing_stands_are_left_out() -> None:
    values = {
        "targets.0.kind": [""],
        "targets.1.kind": ["folder"],
        "targets.1.options.folder": ["x"],
        "conditions.alerts.0.column": [""],
        "aggregation.0.function": ["group"],
        "aggregation.0.field": [""],
        "privacy.fields.0.field": [""],
        "privacy.fields.0.do": ["mask"],
        "targets.1.options.create.share_with.0.role": ["reader"],
    }
    assert rows.compact(values) == {"targets.0.kind": ["folder"], "targets.0.options.folder": ["x"]}


def test_there_is_an_end_to_adding() -> None:
    full: Values = {f"fields.{row}.field": ["a"] for row in range(rows.MOST_ROWS)}
    assert rows.changed(full, "add:fields") == full
