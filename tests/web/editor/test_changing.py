"""Exports that are changed, copied and read again: by two people at once, as a form and as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.datastructures import FormData

from include.definitions.load import load
from include.state.tables import EXPORT_EDITS
from include.web.editor import rows
from include.web.editor.form import document_of, posted
from tests.web.editor.page_form import changed, sent
from tests.web.editor.pressing import NEW, RIGHT, form_of, made, press, summary, value
from tests.web.exports.made import export

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

EXAMPLES = sorted(Path("include/exports").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_page_itself_gives_every_shipped_export_back_as_it_was(anna, path):
    document = load(path).document()
    pairs = form_of(anna, f"/loyalty/exports/{path.stem}/clone")
    copy, problems = document_of(rows.compact(posted(FormData(pairs))))
    assert problems == []
    if "name" in document.get("file", {}):  # with the id in it where another export makes files of that name
        name = copy["file"].pop("name")
        assert name.removeprefix("{id}_") == document["file"].pop("name").removeprefix("{id}_")
    assert copy == {**document, "id": f"{path.stem}-copy", "name": f"Copy of {document['name']}"}


def test_a_copy_is_saved_beside_its_original(anna, context):
    answer = press(
        anna,
        "/loyalty/exports/new/redemption",
        form_of(anna, "/loyalty/exports/accounting-redemptions/clone"),
    )
    assert answer.status_code == 303, summary(answer)
    copy = context.state.exports.get("accounting-redemptions-copy")
    assert copy.document["file"]["name"] == "{id}_redemptions_{period}"
    again = press(
        anna,
        "/loyalty/exports/new/redemption",
        form_of(anna, "/loyalty/exports/accounting-redemptions/clone"),
    )
    assert again.status_code == 303
    assert context.state.exports.get("accounting-redemptions-copy-2") is not None


def test_an_export_is_changed_and_the_second_editor_is_told_and_loses_nothing(anna, browser, context):
    name = made(anna)
    page = f"/loyalty/exports/{name}/edit"
    bob = browser("bob", "ADMIN")
    hers, his = form_of(anna, page), form_of(bob, page)
    assert press(anna, page, hers, description="by anna").status_code == 303
    told = press(bob, page, his, name="By <b>bob</b>", timezone="Europe/Paris")
    assert told.status_code == 409
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", told.text))
    assert "anna saved another version" in text
    assert "by anna" in text
    assert "<b>bob" not in told.text
    again = sent(told.text)
    assert (value(again, "name"), value(again, "timezone"), value(again, "based_on")) == (
        "By <b>bob</b>",
        "Europe/Paris",
        "2",
    )
    assert context.state.exports.get(name).document["description"] == "by anna"
    assert press(bob, page, again).status_code == 303
    saved = context.state.exports.get(name)
    assert (saved.document["name"], saved.number, saved.edited_by) == ("By <b>bob</b>", 3, "bob")


def test_the_second_editor_may_take_the_others_version(anna, browser):
    name = made(anna)
    page = f"/loyalty/exports/{name}/edit"
    bob = browser("bob", "ADMIN")
    his = form_of(bob, page)
    press(anna, page, form_of(anna, page), description="by anna")
    taken = press(bob, page, his, "take", description="by bob")
    assert taken.headers["location"] == f"../../exports/{name}/edit"
    assert value(form_of(bob, page), "description") == "by anna"


def test_an_export_that_is_deleted_meanwhile_is_told_and_can_be_saved_as_new(anna, context):
    name = made(anna)
    page = f"/loyalty/exports/{name}/edit"
    pairs = form_of(anna, page)
    context.state.exports.delete(name, "bob")
    told = press(anna, page, pairs, description="mine")
    assert told.status_code == 409
    assert "bob deleted this export" in told.text
    again = sent(told.text)
    assert value(again, "description") == "mine"
    saved = press(anna, page, again, "save-as-new")
    assert saved.status_code == 303
    assert context.state.exports.get(f"{name}-2").document["description"] == "mine"
    assert anna.get(page).status_code == 410


def test_the_id_never_changes(anna, context):
    name = made(anna)
    page = f"/loyalty/exports/{name}/edit"
    assert press(anna, page, form_of(anna, page), id="other").status_code == 303
    assert "other" not in context.state.exports.ids()
    as_text = sent(press(anna, page, form_of(anna, page), "as-yaml").text)
    answer = press(
        anna, page, changed(as_text, as_yaml=value(as_text, "as_yaml").replace(f"id: {name}", "id: other"))
    )
    assert answer.status_code == 422
    assert summary(answer) == [f"id: “other” never changes: it is {name}; clone the export for another id."]


def test_an_export_of_a_file_is_read_only(anna):
    answer = anna.get("/loyalty/exports/daily-balances/edit")
    assert answer.status_code == 200
    assert "Clone to edit" in answer.text
    assert 'value="save"' not in answer.text
    assert [
        name for name, _ in sent(answer.text) if name not in ("form_token", "kept", "based_on", "model")
    ] == []
    assert press(anna, "/loyalty/exports/daily-balances/edit", form_of(anna)).status_code == 409
    assert anna.get("/loyalty/exports/no-such/edit").status_code == 404
    assert anna.get("/loyalty/exports/no-such/clone").status_code == 404


def test_the_whole_definition_is_changed_as_text_and_back(anna, context):
    typed = sent(press(anna, NEW, form_of(anna), "as-yaml", **RIGHT).text)
    text = value(typed, "as_yaml").replace("\r\n", "\n")
    assert "name: Été balances\n" in text
    wrong = press(anna, NEW, changed(typed, as_yaml="id: a\nname: ["))
    assert wrong.status_code == 422
    assert summary(wrong)[0].startswith("line 3: ")
    wrong = press(
        anna, NEW, changed(typed, as_yaml=text.replace("model: balance", "model: balnce") + "colour: red\n")
    )
    assert value(sent(wrong.text), "as_yaml").endswith("colour: red")
    assert any(each.startswith("colour: ") for each in summary(wrong))
    back = press(anna, NEW, changed(typed, as_yaml=f"id: by-text\n{text}limit: 7\n"), "as-form")
    assert value(sent(back.text), "limit") == "7"
    assert press(anna, NEW, changed(typed, as_yaml=f"id: by-text\n{text}limit: 7\n")).status_code == 303
    assert context.state.exports.get("by-text").document["limit"] == 7


def test_the_parts_of_a_pack_stay_when_it_is_copied_and_changed(anna, context):
    pack = "/loyalty/exports/new/pack"
    answer = press(
        anna, pack, form_of(anna, "/loyalty/exports/monthly-bookkeeper-pack/clone"), description="mine"
    )
    assert answer.status_code == 303, summary(answer)
    parts = load(Path("include/exports/monthly-bookkeeper-pack.yaml")).document()["exports"]
    saved = context.state.exports.get("monthly-bookkeeper-pack-copy").document
    assert (saved["exports"], saved["description"]) == (parts, "mine")
    answer = press(
        anna,
        pack,
        form_of(anna, pack),
        name="x",
        exports="- id: a\n  model: nonsense",
        targets__0__kind="folder",
    )
    assert any(
        each.startswith("The exports of the pack: ") and "nonsense" in each for each in summary(answer)
    )


def test_a_definition_that_this_version_cannot_read_is_shown_as_text(anna, context):
    export(context, "odd", "anna")
    with context.state.database.write() as connection:
        connection.execute(EXPORT_EDITS.update().values(document={"id": "odd", "shape": 1}))
    page = sent(anna.get("/loyalty/exports/odd/edit").text)
    assert "shape: 1" in value(page, "as_yaml")
