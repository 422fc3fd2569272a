"""What somebody may do who may change one export and not all, or may see no personal data."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from include.definitions.load import from_document
from include.definitions.writing import as_yaml
from include.state.tables import EXPORTS
from tests.web.editor.page_form import sent
from tests.web.editor.pressing import form_of, press
from tests.web.exports.made import export
from tests.web.posting import post
from tests.web.test_safety import known_visit

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

PAGE = "/loyalty/exports/mine/edit"


@pytest.fixture
def uma(browser, context):
    """A user who may change one export."""
    context.state.grants.grant("user", "edit", "mine", by="admin")
    return browser("uma", "USER")


def test_who_may_change_one_export_makes_no_other_of_it(uma, anna, context):
    export(context, "mine")
    pairs, before = form_of(uma, PAGE), context.state.exports.ids()
    assert press(uma, PAGE, pairs, "save-as-new", description="x").status_code == 403
    assert context.state.exports.ids() == before
    context.state.exports.delete("mine", "admin")
    assert press(uma, PAGE, pairs, "save-as-new", description="x").status_code == 403
    assert context.state.exports.ids() == before - {"mine"}
    told = press(anna, PAGE, [*pairs, ("form_token", known_visit(anna, "anna"))], description="x")
    assert press(anna, PAGE, sent(told.text), "save-as-new").status_code == 303


@pytest.mark.parametrize("do", ["save-as-new", "save", "other", "as-form", "as-yaml", "show"])
@pytest.mark.parametrize("as_text", [False, True])
def test_an_export_whose_file_is_gone_is_no_door_for_who_may_only_see_it(browser, context, do, as_text):
    made = export(context, "mine")
    context.state.exports.delete("mine", "admin")
    with context.state.database.write() as connection:
        connection.execute(sa.update(EXPORTS).where(EXPORTS.c.definition_id == "mine").values(source="yaml"))
    vera = browser("vera", "VIEWER")
    fields = [("form_token", known_visit(vera, "vera")), ("name", "Stolen"), ("model", "balance")]
    fields += [("targets.0.kind", "folder"), ("targets.0.options.folder", "stolen"), ("timezone", "UTC")]
    fields += [("as_yaml", as_yaml(made.document))] if as_text else []
    vera.get("/loyalty/exports")  # brings the catalogue up to date with the files
    before = context.state.exports.ids()
    assert press(vera, PAGE, fields, do).status_code == 403
    assert context.state.exports.ids() == before


def test_only_who_may_make_exports_is_offered_a_new_one(uma, anna, context):
    export(context, "mine")
    mine, annas = form_of(uma, PAGE), form_of(anna, PAGE)
    context.state.exports.delete("mine", "admin")
    offered = {
        client: press(client, PAGE, pairs, description="x").text
        for client, pairs in ((uma, mine), (anna, annas))
    }
    assert "deleted this export" in offered[uma]
    assert 'value="save-as-new"' not in offered[uma]
    assert 'value="save-as-new"' in offered[anna]


@pytest.mark.parametrize("do", ["save", "save-and-run"])
@pytest.mark.parametrize("keys", [{"order": "email"}, {"filters": '{"field": "email", "starts_with": "a"}'}])
def test_nobody_finds_people_by_data_that_they_may_not_see(uma, anna, context, do, keys):
    export(context, "mine", model="customers")
    refused = press(uma, PAGE, form_of(uma, PAGE), do, **keys)
    assert refused.status_code == 422
    assert "ask an administrator for the right to personal data" in refused.text
    assert context.state.exports.get("mine").number == 1
    assert press(anna, PAGE, form_of(anna, PAGE), **keys).status_code == 303
    assert context.state.exports.get("mine").number == 2


def test_a_version_with_personal_data_is_not_taken_back_by_who_may_see_none(uma, anna, context):
    open_ = {"model": "customers", "fields": ["customer_id", "email"]}
    made = export(context, "mine", **open_)
    shut = {**made.document, "fields": [{"field": "customer_id"}]}
    context.state.exports.save(from_document(shut, where=""), "admin", based_on=1)
    versions = "/loyalty/exports/mine/versions"
    assert post(uma, versions, number="2", version="1").status_code == 422
    assert context.state.exports.get("mine").number == 2
    assert post(anna, versions, number="2", version="1").status_code == 303
